"""Video files, decoded one frame at a time with PyAV, on one thread: parallelism is over videos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from flowstream.disk import open_regular
from flowstream.errors import DamagedVideoError, VideoError
from flowstream.types import Images, Size
from flowstream.video.frames import VideoInfo, check_complete
from flowstream.video.pixels import Converter, Orientation, orientation, resize

# What a player assumes where a file gives no rate at all.
NOMINAL_FPS = 25.0
_DURATION_TAG = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")
# FFmpeg's renderer of text files, which takes any .txt for a film.
_NOT_VIDEO = frozenset({"tty"})


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A decoded frame; `flowstream.video.frames.Picture` says what its parts mean."""

    index: int
    seconds: float
    frame: av.VideoFrame
    turn: Orientation
    converter: Converter

    @property
    def size(self) -> Size:
        """(rows, columns) as displayed."""
        size = self.frame.height, self.frame.width
        return size[::-1] if self.turn.swapped else size

    def luma(self, size: Size) -> Images:
        """(H, W), full range, at `size`."""
        return self._upright(self.converter.luma(self.frame), size)

    def rgb(self, size: Size) -> Images:
        """(H, W, 3) at `size`."""
        return self._upright(self.converter.rgb(self.frame), size)

    def _upright(self, image: Images, size: Size) -> Images:
        stored = size[::-1] if self.turn.swapped else size
        return self.turn.apply(resize(image, stored))


class VideoFile:
    """An open video file; a context manager, because a stream outlives its container as garbage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = _open(path)
        try:
            self._stream = _video_stream(self._container, path)
        except VideoError:
            self._container.close()
            raise
        self._stream.codec_context.thread_count = 1
        self._clock = _Clock(self._stream, self.period)
        self._decoded = 0
        self._undecodable = 0
        self._broke_off = ""

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    @property
    def period(self) -> float:
        """Seconds that a frame is on screen, by the header's mean rate."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(1 / rate) if rate else 1 / NOMINAL_FPS

    @property
    def timed(self) -> bool:
        """Frames have presentation times."""
        return True

    def info(self) -> VideoInfo:
        """What the header and the first frame say; decodes that frame only."""
        picture = next(self.pictures(), None)
        if picture is None:
            raise VideoError(f"{self.path}: no frame of it can be decoded; it is empty or damaged")
        stream = self._stream
        rate, fastest = stream.average_rate, stream.base_rate
        seconds = None
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif self._container.duration is not None:
            seconds = self._container.duration / av.time_base
        return VideoInfo(
            path=self.path,
            rows=picture.size[0],
            columns=picture.size[1],
            fps=float(rate or stream.guessed_rate or 0.0),
            header_frames=self._claimed() or None,
            seconds=seconds,
            codec=stream.codec_context.name,
            pixel_format=picture.frame.format.name,
            rotation=picture.frame.rotation % 360,
            # twice the rate is what interlaced H.264 says: fields, not frames
            variable=bool(rate and fastest and fastest not in (rate, 2 * rate)),
        )

    def pictures(self) -> Iterator[DecodedPicture]:
        """Every frame in the order of display, with its time after the first.

        Raises
        ------
        VideoError
            If the size changes on the way.
        """
        converter = Converter()
        turn, size = None, None
        for frame in self._frames():
            # The first speaks for all. A frame that was asked for its side data is part of a cycle
            # and waits for the garbage collector, which knows nothing of the megabytes it holds.
            turn = turn or self._orientation(frame)
            size = size or (frame.height, frame.width)
            if (frame.height, frame.width) != size:
                raise VideoError(
                    f"{self.path}: frame {self._decoded} is {frame.width}x{frame.height}, those "
                    f"before it {size[1]}x{size[0]}; re-encode the video to one size"
                )
            seconds = self._clock.seconds(frame)
            yield DecodedPicture(self._decoded, seconds, frame, turn, converter)
            self._decoded += 1

    def _orientation(self, frame: av.VideoFrame) -> Orientation:
        try:
            return orientation(frame)
        except VideoError as error:
            raise VideoError(f"{self.path}: {error}") from error

    def check_complete(self, *, allow_truncated: bool) -> None:
        """Raise if clearly fewer frames were decoded than the file should hold."""
        if self._broke_off and self._decoded and not allow_truncated:
            raise DamagedVideoError(
                f"{self.path}: damaged: reading broke off after {self._decoded} frames: "
                f"{self._broke_off}; use what there is with --allow-truncated"
            )
        claimed = self._claimed()
        check_complete(
            self.path,
            self._decoded,
            expected=claimed or self._estimate(),
            claim="its header claims" if claimed else "its header's duration makes",
            allow_truncated=allow_truncated,
        )

    def _claimed(self) -> int:
        """How many frames the header counts; 0 where it does not."""
        count, kind = self._stream.frames, self._container.format.name
        if count and "mov" in kind:
            # an edit list may cut off frames that the plain count includes
            return sum(not entry.is_discard for entry in self._stream.index_entries)
        if count and kind == "avi":
            # The count is of time slots. Recorders leave one empty, without an entry in the index,
            # for a frame that they dropped.
            slots = [entry.timestamp for entry in self._stream.index_entries]
            return count - (slots[-1] - slots[0] + 1 - len(slots) if slots else 0)
        return count

    def _estimate(self) -> int:
        """How many frames there should be where the header, as in Matroska, does not count them.

        The end is compared, not the product of duration and rate: under a variable rate that would
        be wrong. The whole file's duration is another stream's where there is one.
        """
        tag = _DURATION_TAG.fullmatch(self._stream.metadata.get("DURATION", ""))
        end = None
        if tag:
            hours, minutes, seconds = map(float, tag.groups())
            end = 3600 * hours + 60 * minutes + seconds
        elif len(self._container.streams) == 1 and self._container.duration is not None:
            end = self._container.duration / av.time_base
        cut_off = 0 if end is None else round((end - self._clock.end) / self.period)
        return self._decoded + self._undecodable + max(0, cut_off)

    def _frames(self) -> Iterator[av.VideoFrame]:
        """What can be decoded; packets that cannot are counted and skipped."""
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.FFmpegError:
                    self._undecodable += 1
        except av.FFmpegError as error:
            self._broke_off = str(error.strerror)
            yield from self._stream.decode(None)


class _Clock:
    """Presentation times in seconds after the first frame, always increasing.

    AVI holds decode times only: there the presentation time that FFmpeg gives is a guess, and with
    B-frames a wrong one, while frames leave the decoder one decode time apart. A frame without a
    time, or with one not after its predecessor's, is taken to follow it by a mean frame period.
    """

    def __init__(self, stream: VideoStream, period: float) -> None:
        self._by_decoding = stream.container.format.name == "avi"
        self._unit = stream.time_base
        self._period = period
        self._origin: float | None = None
        self._last: float | None = None
        self.end = 0.0
        """When the last frame leaves the screen, by the file's own clock."""

    def seconds(self, frame: av.VideoFrame) -> float:
        follows = 0.0 if self._last is None else self._last + self._period
        ticks = frame.dts if self._by_decoding else frame.pts
        if ticks is not None and self._unit is not None:
            stamp = float(ticks * self._unit)
            if self._origin is None:
                self._origin = stamp - follows
            if self._last is None or stamp - self._origin > self._last:
                follows = stamp - self._origin
        self._last = follows
        self.end = (self._origin or 0.0) + follows + self._period
        return follows


def _open(path: Path) -> InputContainer:
    try:
        with open_regular(path) as file:
            if not file.read(1):
                raise VideoError(f"{path}: not a video: the file is empty")
        # "file:", or a colon in the name would name a protocol; tags in other encodings than
        # UTF-8 are common in old AVI files and nothing here needs them
        container = av.open(f"file:{path}", mode="r", metadata_errors="ignore")
    except VideoError:
        raise
    except av.FFmpegError as error:
        raise VideoError(f"{path}: not a video, or one cut off: {error.strerror}") from error
    except OSError as error:
        raise VideoError(f"{path}: cannot read the video: {error.strerror}") from error
    if container.format.name in _NOT_VIDEO:
        container.close()
        raise VideoError(f"{path}: not a video: it is text")
    return container


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise VideoError(f"{path}: FFmpeg as installed has no decoder for its video stream")
        return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams}))
    if not kinds:
        raise VideoError(f"{path}: not a video, or one cut off: it holds no stream")
    raise VideoError(f"{path}: no video stream; its streams: {kinds}")
