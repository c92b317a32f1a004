"""Frames of a live source, a camera or a stream, read in a thread of their own."""

from __future__ import annotations

import errno
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstream.errors import VideoError
from flowstream.interrupts import block_signals

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from flowstream.types import Images

PATIENCE = 10.0
"""Seconds without a frame after which a source counts as stalled; cameras start within 3 s."""

_WAITING = 8
"""Number of frames that may wait to be written."""

_POLL = 0.2
"""Seconds between two looks at the clock while nothing arrives."""

_PAUSE = 1.0
"""Seconds without a frame that are reported if the recording ends in them."""

_INTERVAL = 0.04
"""Seconds from the first frame to the second, if their time stamps do not increase."""

_LEAST = 0.002
"""Least seconds between two frames: files of recordings store times in milliseconds."""

# FFmpeg reads ahead to guess the frame rate, for minutes if a stream is slow; it is not needed.
_OPTIONS = {"fpsprobesize": "0", "analyzeduration": "1000000"}

# Formats without time stamps, for which FFmpeg assumes 25 frames per second.
_NO_CLOCK = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "image2pipe", "h264", "hevc", "m4v"})


@dataclass(frozen=True)
class Shot:
    """Frame of a live source and its time in seconds: of its time stamp, or of its arrival."""

    image: Images = field(repr=False)
    seconds: float


class LiveSource:
    """Camera or stream; a thread reads it, which is left alone if the source does not answer.

    Parameters
    ----------
    source : str
        Number of a camera, or URL of a stream.
    patience : float
        Seconds to wait for the next frame.
    """

    def __init__(self, source: str, *, patience: float = PATIENCE) -> None:
        self.source = source
        self.kind = "camera" if source.isdecimal() else "stream"
        self.reason = ""
        """Reason why the frames ended early; empty if they did not."""
        self._patience = patience
        self._shots: queue.Queue[Shot | VideoError | None] = queue.Queue(_WAITING)
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name=f"read {source}", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end as soon as the source answers."""
        self._stopped.set()

    def take(self, seconds: float) -> Iterator[Shot]:
        """Yield the frames of some seconds, by their time stamps and by the clock.

        The frames end early if the source ends, stalls, breaks off or changes its size.

        Yields
        ------
        Shot
            With the time since the first frame, which increases.

        Raises
        ------
        VideoError
            If the source cannot be opened.
        """
        first: Shot | None = None
        shift, last, interval = 0.0, 0.0, _INTERVAL
        for shot in self._wait(seconds):
            if first is None:
                first, shift = shot, shot.seconds
                yield Shot(shot.image, 0.0)
                continue
            if shot.image.shape != first.image.shape:
                sizes = [f"{one.image.shape[1]}x{one.image.shape[0]}" for one in (first, shot)]
                self.reason = f"the {self.kind} changed its size from {sizes[0]} to {sizes[1]}"
                return
            passed = shot.seconds - shift
            if not last < passed <= last + self._patience:  # its clock was set anew
                shift = shot.seconds - last - interval
                passed = last + interval
            passed = max(passed, last + _LEAST)
            if passed >= seconds:
                return
            interval, last = passed - last, passed
            yield Shot(shot.image, passed)

    def _wait(self, seconds: float) -> Iterator[Shot]:
        """Yield the frames that arrive within some seconds of the first one."""
        begun: float | None = None
        arrived = time.monotonic()
        while True:
            now = time.monotonic()
            if begun is not None and now - begun >= seconds:
                if now - arrived > _PAUSE:
                    self.reason = f"nothing arrived in the last {now - arrived:.0f} s"
                return
            if now - arrived >= self._patience:
                self.reason = f"nothing arrived for {self._patience:g} s"
                return
            try:
                found = self._shots.get(timeout=_POLL)
            except queue.Empty:
                continue
            if found is None:
                return
            if isinstance(found, VideoError):
                if begun is None:
                    raise VideoError(f"{self.source}: {found}") from found
                self.reason = str(found)
                return
            arrived = time.monotonic()
            begun = arrived if begun is None else begun
            yield found

    def _run(self) -> None:
        """Read the source until it ends or nobody wants more."""
        block_signals()
        end: VideoError | None = None
        read = _read_camera if self.kind == "camera" else _read_stream
        try:
            for shot in read(self.source, self._patience):
                self._put(shot)
                if self._stopped.is_set():
                    return
        except VideoError as error:
            end = error
        self._put(end)

    def _put(self, item: Shot | VideoError | None) -> None:
        while not self._stopped.is_set():
            try:
                self._shots.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return


def _read_camera(number: str, patience: float) -> Iterator[Shot]:
    import cv2
    import numpy as np

    capture = cv2.VideoCapture(int(number))
    try:
        if not capture.isOpened():
            raise VideoError("cannot open the camera; check that it is connected")
        while True:
            found, image = capture.read()
            if not found:
                return
            rgb = np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
            yield Shot(rgb, time.monotonic())
    finally:
        capture.release()


def _read_stream(url: str, patience: float) -> Iterator[Shot]:
    import av
    import numpy as np

    from flowstream.video.opening import video_streams

    opened = False
    try:
        # this limit is the longer one, so that the reader of the frames explains the pause
        with av.open(url, options=_OPTIONS, timeout=patience + 1) as container:
            opened = True
            videos = video_streams(container)
            if not videos:
                raise VideoError("no video stream")
            has_clock = container.format.name not in _NO_CLOCK
            for frame in _decode(container, videos[0]):
                known = frame.time if has_clock else None
                seconds = time.monotonic() if known is None else known
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                yield Shot(image, seconds)
    except (av.FFmpegError, ValueError) as error:
        what = "the stream broke off" if opened else "cannot open the stream"
        raise VideoError(f"{what}: {_explain(error, patience)}") from error


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames of a stream to its end, without those that are damaged."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            # also the end of an HTTP stream whose length is not known
            if error.errno != errno.EIO:
                raise
            packet = None
        try:
            frames = stream.decode(packet)
        except av.InvalidDataError:  # a stream that was joined between two key frames
            frames = []
        except av.EOFError:
            return
        yield from (frame for frame in frames if not frame.is_corrupt)
        if packet is None:
            return


def _explain(error: Exception, patience: float) -> str:
    """Return the reason of an error of FFmpeg; it calls an expired time limit an exit."""
    import av

    if isinstance(error, av.ExitError):
        return f"nothing arrived for {patience:g} s"
    if getattr(error, "errno", None) == errno.EIO:
        return "it ended, or is not a video"
    reason = getattr(error, "strerror", None) or str(error)
    return " ".join(str(reason).split()) or type(error).__name__
