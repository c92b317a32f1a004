"""Videos with their predicted classes drawn over the frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flowstream.stages.prediction import Prediction
    from flowstream.types import Images


def write_overlay(prediction: Prediction, path: Path, *, top: int = 3) -> Path:
    """Write the video of a prediction with the most probable classes of each moment.

    A class is drawn as its name on a bar whose length is its probability. The sides of the frames
    are cropped to even lengths, which most players require.

    Raises
    ------
    VideoError
        If the video cannot be read again.
    """
    from flowstream.synthetic.files import split_times, write_video
    from flowstream.video import probe

    path.parent.mkdir(parents=True, exist_ok=True)
    fps = probe(prediction.video).fps or 25.0
    images, times = split_times(_draw_frames(prediction, top))
    return write_video(path, images, fps=fps, times=times)


def _draw_frames(prediction: Prediction, top: int) -> Iterator[tuple[Images, float]]:
    """Yield the frames with their classes, and their times, which increase."""
    import cv2

    from flowstream.video import Sampling, read_frames

    first = last = None
    for frame in read_frames(prediction.video, Sampling(), luma=False, rgb=True):
        first = frame.seconds if first is None else first
        index = int(np.searchsorted(prediction.times, frame.seconds - first, side="right")) - 1
        scores = prediction.over_time[max(0, index)] if len(prediction.times) else prediction.scores
        image = frame.rgb
        if image is None:
            continue
        # a player needs times that increase, at least by a millisecond
        last = frame.seconds - first if last is None else max(frame.seconds - first, last + 0.001)
        rows, columns = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        image = np.ascontiguousarray(image[:rows, :columns])
        height = max(12, rows // 16)
        for row, (name, value) in enumerate(prediction.top(top, scores)):
            y = 4 + row * (height + 2)
            bar = image[y : y + height, 4 : 4 + max(1, round(value * (columns - 8)))]
            bar[:] = (bar * 0.35 + np.array([20, 90, 200]) * 0.65).astype(np.uint8)
            cv2.putText(
                image,
                f"{name} {value:.2f}",
                (8, y + height - 3),
                cv2.FONT_HERSHEY_SIMPLEX,
                height / 32,
                (255, 255, 255),
                1,
                cv2.LINE_AA,
            )
        yield image, last
