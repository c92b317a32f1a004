"""Reading of videos: files and directories of images alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from flowstream.errors import VideoError
from flowstream.video.container import VideoFile
from flowstream.video.depth import Codes, DepthRange, measure_depth_range, parse_depth_range
from flowstream.video.frames import Frame, Picture, VideoInfo
from flowstream.video.image_directory import ImageDirectory
from flowstream.video.parts import Pair, Part, Span
from flowstream.video.sampling import Sampling

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Images of a directory that are looked at for the range of their values.
_MOST_IMAGES = 64


class ReadOptions(TypedDict, total=False):
    """Optional arguments of `VideoReader`, which documents them."""

    luma: bool
    rgb: bool
    max_corrupt: int
    allow_truncated: bool
    part: Part | None


class VideoReader:
    """Iterator over the sampled frames of one video; a context manager.

    Parameters
    ----------
    path : Path
        A file, or a directory of numbered images.
    sampling : Sampling
        Selection of the frames, and their size.
    luma, rgb : bool
        Content of each `Frame`. Luma is the same whether or not RGB is requested.
    max_corrupt : int
        Number of frames that may be marked as damaged.
    allow_truncated : bool
        Accept a video whose end is missing.
    part : Span or Pair, optional
        Part of the video to read, None for all of it; frames keep their index and time in the
        whole video.

    Raises
    ------
    VideoError
        As `read_frames` does.
    """

    def __init__(
        self,
        path: str | Path,
        sampling: Sampling,
        *,
        luma: bool = True,
        rgb: bool = False,
        max_corrupt: int = 0,
        allow_truncated: bool = False,
        part: Part | None = None,
    ) -> None:
        self._path = Path(path)
        self._sampling = sampling
        self._kinds = luma, rgb
        self._max_corrupt = max_corrupt
        self._allow_truncated = allow_truncated
        self._part = part
        self._notes: list[str] = []
        self._reached_end = True
        self._next_seconds: float | None = None
        # Only where any damage before the part is refused, so that none goes unseen: another part
        # of the video, or the whole of it, finds it.
        skips = not (max_corrupt or allow_truncated)
        self._source = _open(self._path, sampling.stream, part if skips else None)
        try:
            self.info: VideoInfo = self._source.info()
            if sampling.fps is not None and not self._source.timed:
                raise VideoError(
                    f"{path}: a directory of images without time stamps in their names has no "
                    f"presentation times to sample at {sampling.fps:g} fps; sample it by step"
                )
            self._depth = _find_depth(self._path, self.info, sampling)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._source.__exit__()

    @property
    def depth_range(self) -> str:
        """Sample values that become 0 and 255, as `LO:HI`; empty for 8 bits or the full range."""
        return str(self._depth or "")

    @property
    def fps(self) -> float:
        """Mean frames per second of the frames that were read; 0.0 if unknown."""
        return self._source.fps

    @property
    def corrupt(self) -> tuple[int, ...]:
        """Indices of the frames read so far that are marked as damaged, sampled or not."""
        return tuple(self._source.damage.corrupt)

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each irregularity that was met and tolerated so far."""
        mapped = (
            [f"{self.info.bits}-bit values {self.depth_range} are mapped to 0:255"]
            if self._depth is not None
            else []
        )
        return (*mapped, *self._source.notes(), *self._notes)

    def __iter__(self) -> Iterator[Frame]:
        sampling, info = self._sampling, self.info
        pictures: Iterator[Picture] = self._source.pictures()
        if self._part is not None:
            pictures = self._select_part(pictures, self._part)
        if not isinstance(self._part, Pair):
            period = self._source.period
            pictures = sampling.select(
                pictures, period=period, end=self._end_of_last, note=self._notes.append
            )
        size = sampling.target(info.rows, info.columns, info.aspect)
        luma, rgb = self._kinds
        for picture in pictures:
            yield Frame(
                index=picture.index,
                seconds=picture.seconds,
                luma=picture.luma(size, self._depth) if luma else None,
                rgb=picture.rgb(size, self._depth) if rgb else None,
                is_corrupt=picture.is_corrupt,
            )
        self._source.damage.check(
            self._path,
            max_corrupt=self._max_corrupt,
            allow_truncated=self._allow_truncated,
            reached_end=self._reached_end,
        )

    def _select_part(self, pictures: Iterable[Picture], part: Part) -> Iterator[Picture]:
        """Yield the pictures of a part; reading stops at its end."""
        found, last, seconds = 0, -1, 0.0
        for picture in pictures:
            last, seconds = picture.index, picture.seconds
            if part.is_over(picture):
                self._reached_end = False
                self._next_seconds = picture.seconds
                self._source.damage.stated = 0  # the others are not missing
                break
            if part.selects(picture):
                found += 1
                yield picture
        else:
            end = seconds + self._source.period
            if isinstance(part, Span) and part.ends_after(last, end):
                self._notes.append(
                    f"{part} were asked for; the video has {last + 1} frames and ends at "
                    f"{end:.6g} s"
                )
        if found < (2 if isinstance(part, Pair) else 1):
            raise VideoError(f"{self._path}: {part} are not in the video; it has {last + 1} frames")

    def _end_of_last(self, until: float) -> float:
        """Return when the last frame of the part ends, if a video that ends there shows `until`."""
        if self._next_seconds is not None:
            until = self._next_seconds
        part = self._part
        if isinstance(part, Span) and part.unit == "seconds" and part.end is not None:
            until = min(until, part.end)
        return until


def open_video(
    path: str | Path,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    **options: Unpack[ReadOptions],
) -> VideoReader:
    """Open a video for reading; `VideoReader` documents the parameters.

    Raises
    ------
    VideoError
        If the video cannot be opened or its first frame cannot be decoded.
    """
    return VideoReader(path, sampling, **options)


def read_frames(
    path: str | Path,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    **options: Unpack[ReadOptions],
) -> Iterator[Frame]:
    """Yield the sampled frames of a video, one at a time, upright and resized.

    A video is a file or a directory of numbered images. Only sampled frames are converted, and only
    to what is requested; memory does not grow with the video's length. The file is closed when the
    iterator ends, is closed or is dropped.

    Parameters
    ----------
    path : path
        The video.
    sampling : Sampling
        Selection of the frames, and their size.
    **options
        Optional arguments of `VideoReader`.

    Raises
    ------
    VideoError
        If the video cannot be opened or decoded, has no video stream or no such part, or changes
        its size; if `sampling` has an fps and the video is a directory of images without times. The
        error is raised when the affected frame is requested.
    DamagedVideoError
        After the last frame, if frames are missing or corrupted.
    """
    with VideoReader(path, sampling, **options) as video:
        yield from video


def probe(path: str | Path, *, stream: int | None = None) -> VideoInfo:
    """Return the facts about a video from its header, first packets and first frame.

    Raises
    ------
    VideoError
        If it cannot be opened, has no video stream, or its first frame cannot be decoded.
    """
    with _open(Path(path), stream) as source:
        return source.info()


def count_frames(path: str | Path, *, stream: int | None = None) -> int:
    """Return the number of frames of a video, counted by decoding, whatever its header states.

    Raises
    ------
    VideoError
        If it cannot be opened or decoded at all.
    """
    sampling = Sampling(stream=stream, depth_range="full")
    # Images are opened only if their pixels are requested.
    frames = read_frames(
        path,
        sampling,
        luma=os.path.isdir(path),
        max_corrupt=sys.maxsize,
        allow_truncated=True,
    )
    return sum(1 for _ in frames)


def _open(path: Path, stream: int | None, part: Part | None = None) -> VideoFile | ImageDirectory:
    # Unlike Path.is_dir, it answers where a directory on the way cannot be searched.
    if os.path.isdir(path):
        return ImageDirectory(path)
    return VideoFile(path, stream=stream, part=part)


def _find_depth(path: Path, info: VideoInfo, sampling: Sampling) -> DepthRange | None:
    """Return the mapping of a video with more than 8 bits, None for the usual conversion."""
    if info.bits <= 8 or sampling.depth_range == "full":
        return None
    given = parse_depth_range(sampling.depth_range)
    if given is not None:
        return given
    with _open(path, sampling.stream) as source:
        pictures: Iterable[Picture] = source.pictures()
        if isinstance(source, ImageDirectory):
            every = list(pictures)
            pictures = every[:: -(-len(every) // _MOST_IMAGES)]
        return measure_depth_range(_codes(pictures))


def _codes(pictures: Iterable[Picture]) -> Iterator[Codes]:
    for picture in pictures:
        codes = picture.codes()
        if codes is not None:
            yield codes
