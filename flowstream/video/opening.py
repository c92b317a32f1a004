"""Opening of video files with FFmpeg, and choice of the video stream."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from flowstream.disk import open_regular
from flowstream.errors import VideoError
from flowstream.video.messages import collect_errors
from flowstream.video.raw_formats import find_format, format_by_suffix

# FFmpeg's renderer of text files, which takes any .txt for a video.
_NOT_VIDEO = frozenset({"tty"})
# Starts of files that only name other files: HLS, lists of ffmpeg's concat, SDP, DASH. FFmpeg would
# open these, whatever they are; pipes and network addresses among them block.
_PLAYLIST = re.compile(rb"\s*(#EXTM3U|ffconcat version|v=0\s+o=|(<\?xml[^>]*>\s*)?<MPD\b)")
# FFmpeg's numbers of the streams that hold video in a program stream.
_VIDEO_NUMBERS = range(0x1E0, 0x1F0)
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails


def open_container(path: Path) -> InputContainer:
    """Open a video file for reading; see `open_and_listen`."""
    return open_and_listen(path)[0]


def open_and_listen(path: Path) -> tuple[InputContainer, list[str]]:
    """Open a video file for reading, and return what FFmpeg logged about its container.

    Raises
    ------
    VideoError
        If it cannot be read, or FFmpeg does not recognise it.
    """
    try:
        with open_regular(path) as file:
            head = file.read(512).removeprefix(b"\xef\xbb\xbf")
        if not head:
            raise VideoError(f"{path}: not a video: the file is empty")
        if _PLAYLIST.match(head):
            raise VideoError(
                f"{path}: not a video: it is a list of other files; name these instead"
            )
        with collect_errors(started=False) as errors:
            container = _open(path, head)
    except VideoError:
        raise
    except av.FFmpegError as error:
        if error.errno == errno.EBUSY:  # FFmpeg's reader of YUV4MPEG2, where memory is refused
            raise VideoError(
                f"{path}: not a video: its header states a frame size that cannot be read"
            ) from error
        raise VideoError(f"{path}: not a video, or one cut off: {error.strerror}") from error
    except OSError as error:
        raise VideoError(f"{path}: cannot read the video: {error.strerror}") from error
    if container.format.name in _NOT_VIDEO:
        container.close()
        raise VideoError(f"{path}: not a video: it is text")
    # FFmpeg decodes the first frames on opening; they are decoded again.
    return container, [error for error in errors if error.startswith(f"{container.format.name}:")]


def _open(path: Path, head: bytes) -> InputContainer:
    """Open a file in the raw format that it states, or else in the one that FFmpeg finds."""
    container = _try_as(path, find_format(path, head))
    if container is not None:
        return container
    try:
        return _open_as(path, None)
    except av.InvalidDataError:
        # FFmpeg also says so if two formats look equally likely.
        container = _try_as(path, format_by_suffix(path))
        if container is None:
            raise
        return container


def _open_as(path: Path, name: str | None) -> InputContainer:
    # "file:", because a colon in the name would name a protocol
    url = f"file:{path}"
    try:
        # Tags in other encodings than UTF-8 are common in old AVI files.
        return av.open(url, mode="r", format=name, metadata_errors="ignore")
    except TypeError:  # PyAV 19 has no such option, and ignores such tags by itself
        return av.open(url, mode="r", format=name)


def _try_as(path: Path, name: str | None) -> InputContainer | None:
    """Open a file in a given format; return None if there is none or FFmpeg finds no pictures."""
    if name is None:
        return None
    try:
        container = _open_as(path, name)
    except (av.FFmpegError, ValueError):  # ValueError: FFmpeg was built without it
        return None
    if any(_pixels(stream) for stream in container.streams.video):
        return container
    container.close()
    return None


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams without cover pictures and thumbnails."""
    return [stream for stream in container.streams.video if not stream.disposition & _STILL]


def other_pictures(container: InputContainer, chosen: VideoStream) -> list[Stream]:
    """Return the other streams of moving pictures, whatever FFmpeg takes them for.

    In a program stream the number tells the kind (ISO/IEC 13818-1, table 2-22), and FFmpeg, which
    guesses it from the content, may call a late video stream sound.
    """
    by_number = container.format.name == "mpeg"
    return [
        stream
        for stream in container.streams
        if stream.index != chosen.index
        and (stream.type == "video" or (by_number and stream.id in _VIDEO_NUMBERS))
        and not stream.disposition & _STILL
    ]


def choose_stream(container: InputContainer, path: Path, index: int | None) -> VideoStream:
    """Return the stream with the given index, or the default one.

    The default is a stream that the file flags as default; among several of these, or without any,
    FFmpeg's choice.

    Raises
    ------
    VideoError
        If there is no video stream, none with that index, or no decoder for it.
    """
    streams = video_streams(container)
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams}))
        if not kinds:
            raise VideoError(f"{path}: not a video, or one cut off: it holds no stream")
        raise VideoError(f"{path}: no video stream; its streams: {kinds}")
    chosen = _default(container, streams) if index is None else _named(streams, path, index)
    if chosen.codec_context is None:
        raise VideoError(f"{path}: FFmpeg as installed has no decoder for its video stream")
    return chosen


def _named(streams: list[VideoStream], path: Path, index: int) -> VideoStream:
    for stream in streams:
        if stream.index == index:
            return stream
    known = ", ".join(str(stream.index) for stream in streams)
    raise VideoError(f"{path}: stream {index} is not a video stream; its video streams: {known}")


def _default(container: InputContainer, streams: list[VideoStream]) -> VideoStream:
    flagged = [stream for stream in streams if stream.disposition & Disposition.default] or streams
    best = container.streams.best("video")
    for stream in flagged:
        if best is not None and stream.index == best.index:
            return stream
    return max(flagged, key=_pixels)


def _pixels(stream: VideoStream) -> int:
    context = stream.codec_context
    return context.width * context.height if context is not None else 0
