"""Recording of a live source to a file."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flowstream.errors import VideoError

if TYPE_CHECKING:
    from flowstream.types import Images


def record(source: str, path: Path, *, seconds: float) -> Path:
    """Record a camera or a stream into a video file.

    Parameters
    ----------
    source : str
        Number of a camera, or URL of a stream.
    path : Path
        File to write, with the time stamps at which the frames arrived.
    seconds : float
        Length of the recording; it is shorter if the source ends earlier.

    Raises
    ------
    VideoError
        If the source cannot be opened, or gives fewer than two frames.
    """
    import cv2
    import numpy as np

    from flowstream.synthetic.files import write_video

    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    kind = "camera" if source.isdecimal() else "stream"
    if not capture.isOpened():
        raise VideoError(f"{source}: cannot open the {kind}; check that it is connected")
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames = 0

    def read() -> Iterator[Images]:
        nonlocal frames
        start = time.monotonic()
        while frames < fps * seconds if fps > 0 else time.monotonic() - start < seconds:
            found, image = capture.read()
            if not found:
                return
            frames += 1
            yield np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)

    images = read()
    rate = fps if fps > 0 else 25.0
    try:
        first = next(images, None)
        if first is not None:
            every = itertools.chain([first], images)
            write_video(path, every, fps=rate, codec="ffv1", pixel_format="bgr0")
    finally:
        capture.release()
    if frames < 2:
        raise VideoError(f"{source}: got {frames} frames from the {kind}, expected at least 2")
    return path
