"""Recording of a live source to a file."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flowstream.errors import VideoError
from flowstream.escapes import escape_controls
from flowstream.stages.live import PATIENCE, LiveSource

if TYPE_CHECKING:
    from flowstream.types import Images


def record(
    source: str,
    path: Path,
    *,
    seconds: float,
    patience: float = PATIENCE,
    progress: bool = False,
) -> Path:
    """Record a camera or a stream into a video file.

    The recording is shorter if the source ends earlier. If it stalls, breaks off or changes its
    size, a warning on stderr states the reason.

    Parameters
    ----------
    source : str
        Number of a camera, or URL of a stream.
    path : Path
        File to write, with the time stamps of the stream, or those at which its frames arrived.
    seconds : float
        Length of the recording, by the time stamps and by the clock.
    patience : float
        Seconds to wait for the next frame.
    progress : bool
        Write a line to stderr when the recording starts.

    Raises
    ------
    VideoError
        If the source cannot be opened, or gives fewer than two frames.
    """
    from flowstream.synthetic.files import split_times, write_video

    live = LiveSource(source, patience=patience)
    count = 0

    def read() -> Iterator[tuple[Images, float]]:
        nonlocal count
        for count, shot in enumerate(itertools.chain(first, shots), start=1):  # noqa: B007
            yield shot.image, shot.seconds

    try:
        shots = live.take(seconds)
        first = list(itertools.islice(shots, 2))
        if len(first) < 2:
            reason = f": {live.reason}" if live.reason else ""
            raise VideoError(
                f"{source}: got {len(first)} frames from the {live.kind}, expected at least 2"
                + reason
            )
        if progress:
            _say(f"Recording {seconds:g} s of {source}")
        images, times = split_times(read())
        write_video(path, images, codec="ffv1", pixel_format="bgr0", times=times)
    finally:
        live.stop()
    if live.reason:
        _say(f"warning: {source}: {live.reason}; using the {count} frames before")
    return path


def _say(text: str) -> None:
    sys.stderr.write(escape_controls(text) + "\n")
