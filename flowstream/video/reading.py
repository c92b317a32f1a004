"""Videos in, frames out: files and folders of images alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from flowstream.errors import VideoError
from flowstream.video.container import VideoFile
from flowstream.video.folder import ImageFolder, numbered_images
from flowstream.video.frames import Frame, Picture, VideoInfo
from flowstream.video.sampling import Sampling

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".divx", ".flv", ".gif", ".h264", ".m2ts", ".m4v", ".mkv", ".mov",
    ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on
"""Suffixes, in lower case, of what `is_video` takes for a video file."""


def read_frames(
    path: str | Path,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    *,
    luma: bool = True,
    rgb: bool = False,
    allow_truncated: bool = False,
) -> Iterator[Frame]:
    """The sampled frames of a video, one at a time, upright and resized.

    A video is a file or a directory of numbered images. Only sampled frames are converted, and only
    into what is asked for; memory does not grow with the video's length. The file is closed when
    the iterator ends, is closed or is dropped.

    Parameters
    ----------
    path : path
        The video.
    sampling : Sampling
        Which frames, and at what size.
    luma, rgb : bool
        What each `Frame` holds. Luma is the same whether or not RGB is asked for.
    allow_truncated : bool
        Whether to be content with what there is of a damaged video.

    Raises
    ------
    VideoError
        If the video cannot be opened or decoded, has no video stream, or changes its size on the
        way; if it is a folder of images and `sampling` goes by fps. Raised when the first frame, or
        the one that cannot be given, is asked for.
    DamagedVideoError
        After the last frame, if more than 2 frames and 2 % of what the header claims are missing.
    """
    path = Path(path)
    with _open(path) as source:
        if sampling.fps is not None and not source.timed:
            raise VideoError(
                f"{path}: a folder of images has no presentation times to sample at "
                f"{sampling.fps:g} fps; sample it by step"
            )
        pictures: Iterator[Picture] = source.pictures()
        for picture in sampling.select(pictures, period=source.period):
            size = sampling.target(*picture.size)
            yield Frame(
                index=picture.index,
                seconds=picture.seconds,
                luma=picture.luma(size) if luma else None,
                rgb=picture.rgb(size) if rgb else None,
            )
        source.check_complete(allow_truncated=allow_truncated)


def probe(path: str | Path) -> VideoInfo:
    """What a video says about itself, without decoding more than its first frame.

    Raises
    ------
    VideoError
        If it cannot be opened, has no video stream, or its first frame cannot be decoded.
    """
    with _open(Path(path)) as source:
        return source.info()


def count_frames(path: str | Path) -> int:
    """How many frames a video holds, counted by decoding each, whatever its header claims.

    Raises
    ------
    VideoError
        If it cannot be opened or decoded at all.
    """
    # images that nobody asks pixels of are not opened
    return sum(1 for _ in read_frames(path, luma=os.path.isdir(path), allow_truncated=True))


def is_video(path: str | Path) -> bool:
    """Whether a path looks like a video: a file by its suffix, or a directory of numbered images.

    One numbered image alone does not make a directory a video.
    """
    path = Path(path)
    if os.path.isdir(path):
        return len(list(islice(numbered_images(path), 2))) == 2
    return path.suffix.lower() in VIDEO_SUFFIXES


def _open(path: Path) -> VideoFile | ImageFolder:
    # unlike Path.is_dir, it answers where a directory on the way may not be looked into
    return ImageFolder(path) if os.path.isdir(path) else VideoFile(path)
