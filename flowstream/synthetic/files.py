"""Video files from frames: containers, codecs, odd sizes, rotation flags, variable rates."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from flowstream.errors import ParameterError, ShapeError
from flowstream.types import Images

# Nearly lossless, so that tests and the demo measure the motion and not the compression.
_QUALITY: dict[str, dict[str, str]] = {
    "libx264": {"crf": "12", "preset": "veryfast"},
    "mpeg4": {"qmin": "2", "qmax": "2"},
    "mpeg2video": {"qmin": "2", "qmax": "2"},
}
_FINE_CLOCK = Fraction(1, 90_000)  # MPEG's own: all usual rates are whole numbers of its ticks
_EXACT = 0x2 | 0x40000 | 0x2000  # SWS_BILINEAR, _ACCURATE_RND, _FULL_CHR_H_INT


def write_video(
    path: str | Path,
    frames: Iterable[Images],
    *,
    fps: float = 25.0,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: Iterable[float] | None = None,
    rotation: int = 0,
    metadata: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write frames to a video file, which gets its name only when it is complete.

    Parameters
    ----------
    path : path
        The suffix selects the container: `.mp4`, `.avi`, `.mkv`, `.ts` and so on.
    frames : iterable of (H, W) or (H, W, 3), uint8
        Luma or RGB, full range, all of one size; consumed one at a time. Most encoders refuse odd
        sides with subsampled chroma (`yuv420p`) and accept them with `yuv444p` or `gray`.
    fps : float
        Frames per second; nominal if `times` is given.
    codec, pixel_format : str
        FFmpeg's names of the encoder and of the pixel format; the default quality is near lossless.
    times : iterable of float, optional
        Presentation time of each frame in seconds, increasing, for a variable rate.
    rotation : int
        Degrees counter-clockwise by which a player turns the frames: a multiple of 90. Written as
        a display matrix, which MP4 and MOV can hold.
    metadata : mapping, optional
        Tags of the file.
    options : mapping, optional
        Options of the encoder, which replace the defaults: `{"bf": "0"}` is H.264 without B-frames.

    Returns
    -------
    The path.

    Raises
    ------
    ParameterError
        If `fps` or `rotation` is out of range, or there is no frame, or not one time for each.
    ShapeError
        If a frame has another type or shape, or another size than the first.
    """
    path = Path(path)
    if not (math.isfinite(fps) and fps > 0):
        raise ParameterError(f"fps: got {fps}, expected a positive number")
    if rotation % 90:
        raise ParameterError(f"rotation: got {rotation}, expected a multiple of 90 degrees")
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    checked = _check_frames(frames)
    first = next(checked, None)
    if first is None:
        raise ParameterError(f"{path}: no frames to write")
    try:
        with av.open(str(part), "w") as container:
            container.metadata.update(metadata or {})
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
            assert isinstance(stream, VideoStream)
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = pixel_format
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {
                **_default_options(codec, pixel_format),
                **(options or {}),
            }
            if times is not None:
                stream.codec_context.time_base = _FINE_CLOCK
            if rotation % 360:
                stream.set_display_rotation(rotation)
            for picture in _convert_frames(itertools.chain([first], checked), stream, times=times):
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def split_times(
    timed: Iterable[tuple[Images, float]],
) -> tuple[Iterator[Images], Iterator[float]]:
    """Return the frames and the times of timed frames, as `write_video` takes them.

    No frame is held: its time can be read after the frame was.
    """
    times: deque[float] = deque()

    def frames() -> Iterator[Images]:
        for image, seconds in timed:
            times.append(seconds)
            yield image

    return frames(), iter(times.popleft, None)


def _default_options(codec: str, pixel_format: str) -> dict[str, str]:
    quality = _QUALITY.get(codec, {})
    # H.264 has no grey: it writes colour without chroma, limited in range unless it says otherwise
    return {**quality, "color_range": "pc"} if pixel_format.startswith("gray") else quality


def _check_frames(frames: Iterable[Images]) -> Iterator[Images]:
    size = None
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or not (
            frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)
        ):
            raise ShapeError(
                f"frame {index}: got {frame.dtype} {frame.shape}, "
                "expected uint8 (H, W) or (H, W, 3)"
            )
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise ShapeError(f"frame {index}: got size {frame.shape[:2]}, the first has {size}")
        yield frame


def _convert_frames(
    frames: Iterable[Images], stream: VideoStream, *, times: Iterable[float] | None
) -> Iterator[av.VideoFrame]:
    """Yield the frames in the pixel format of the stream, each with its time."""
    clock = 1 / Fraction(stream.codec_context.framerate) if times is None else _FINE_CLOCK
    ticks = itertools.count() if times is None else (round(t / _FINE_CLOCK) for t in times)
    reformatter = VideoReformatter()
    for index, frame in enumerate(frames):
        tick = next(ticks, None)
        if tick is None:
            raise ParameterError(f"times: got {index}, expected one for each frame")
        layout = "gray" if frame.ndim == 2 else "rgb24"
        plain = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=layout)
        picture = reformatter.reformat(
            plain, format=stream.pix_fmt, interpolation=_EXACT, threads=1
        )
        picture.pts, picture.time_base = tick, clock
        yield picture
