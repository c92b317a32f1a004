"""A directory of numbered images as a video."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from flowstream.errors import VideoError
from flowstream.types import Images, Size
from flowstream.video.frames import VideoInfo, check_complete
from flowstream.video.pixels import resize

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes, in lower case, of images that a folder may hold as frames."""

# Images carry no times; /time in a stack wants some, and 25 is what UCF101 and most of the field's
# data has. `VideoInfo.fps` stays 0.0, unknown, and resampling by fps is refused.
NOMINAL_FPS = 25.0

_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)", re.DOTALL)
# As stored: a camera's orientation tag would turn single frames.
_LUMA = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, eq=False)
class ImagePicture:
    """One image file, not opened before it is asked for; see `flowstream.video.frames.Picture`."""

    index: int
    seconds: float
    path: Path
    size: Size

    def luma(self, size: Size) -> Images:
        """(H, W) at `size`; a JPEG's own luma, without a detour over RGB."""
        return resize(self._decode(_LUMA), size)

    def rgb(self, size: Size) -> Images:
        """(H, W, 3) at `size`."""
        image = cv2.cvtColor(self._decode(_COLOUR), cv2.COLOR_BGR2RGB)
        return resize(np.asarray(image, np.uint8), size)

    def _decode(self, kind: int) -> Images:
        image = decode_image(self.path, kind)
        rows, columns = image.shape[:2]
        if (rows, columns) != self.size:
            raise VideoError(
                f"{self.path}: the image is {columns}x{rows}, the first of its folder "
                f"{self.size[1]}x{self.size[0]}; bring them to one size"
            )
        return image


class ImageFolder:
    """A directory of numbered images, in the order of their numbers.

    The numbers need not start at 0 or be padded, and may run in steps: they stand one step of the
    smallest spacing that fits them all apart, and what that leaves out counts as missing frames.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbers, self._files = _sequence(path)
        steps = [after - before for before, after in pairwise(self._numbers)]
        self._stride = math.gcd(*steps) or 1
        self._count = 0

    def __enter__(self) -> ImageFolder:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""

    @property
    def period(self) -> float:
        """Seconds between frames, nominal."""
        return 1 / NOMINAL_FPS

    @property
    def timed(self) -> bool:
        """Images have no presentation times."""
        return False

    def info(self) -> VideoInfo:
        """What the names and the first image say."""
        image = decode_image(self._files[0], cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        return VideoInfo(
            path=self.path,
            rows=image.shape[0],
            columns=image.shape[1],
            fps=0.0,
            header_frames=self._expected,
            seconds=None,
            codec=self._files[0].suffix.lower().removeprefix("."),
            pixel_format="gray" if image.ndim == 2 else "rgb24",
        )

    def pictures(self) -> Iterator[ImagePicture]:
        """Every image, at a nominal time by its number."""
        rows, columns = decode_image(self._files[0], _LUMA).shape
        for index, (number, file) in enumerate(zip(self._numbers, self._files, strict=True)):
            place = (number - self._numbers[0]) // self._stride
            yield ImagePicture(index, place / NOMINAL_FPS, file, (rows, columns))
            self._count += 1

    def check_complete(self, *, allow_truncated: bool) -> None:
        """Raise if clearly more numbers are missing than a lost frame or two."""
        check_complete(
            self.path,
            self._count,
            expected=self._expected,
            claim="its numbering makes",
            allow_truncated=allow_truncated,
        )

    @property
    def _expected(self) -> int:
        return (self._numbers[-1] - self._numbers[0]) // self._stride + 1


def decode_image(path: Path, kind: int) -> Images:
    """The pixels of an image file, 8 bits a channel, as OpenCV's flags `kind` ask.

    Raises
    ------
    VideoError
        If the file cannot be read or is not a whole image.
    """
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(content, kind) if content.size else None
    except OSError as error:
        raise VideoError(f"{path}: cannot read the image: {error.strerror}") from error
    except cv2.error as error:
        raise VideoError(f"{path}: not an image that can be decoded: {error.err}") from error
    if image is None:
        raise VideoError(f"{path}: not an image that can be decoded, or not the whole of one")
    return np.asarray(image)


def numbered_images(path: Path) -> Iterator[tuple[str, int, Path]]:
    """Prefix, number and path of each numbered image directly in a directory."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise VideoError(f"{path}: cannot read the directory: {error.strerror}") from error
    for name in names:
        file = path / name
        match = _NUMBERED.fullmatch(file.stem)
        if match and file.suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
            yield match["prefix"], int(match["number"]), file


def _sequence(path: Path) -> tuple[list[int], list[Path]]:
    """The numbers and files of the one sequence of images in a directory, in order."""
    sequences: dict[str, list[tuple[int, Path]]] = {}
    for prefix, number, file in numbered_images(path):
        sequences.setdefault(f"{prefix}*{file.suffix}", []).append((number, file))
    if not sequences:
        raise VideoError(
            f"{path}: a directory without numbered images is not a video; "
            "frames are named like img_00001.jpg"
        )
    if len(sequences) > 1:
        raise VideoError(
            f"{path}: holds {len(sequences)} sequences of images: {', '.join(sequences)}; "
            "keep one in a directory"
        )
    (files,) = sequences.values()
    files.sort()
    for (number, file), (following, other) in pairwise(files):
        if number == following:
            raise VideoError(f"{file} and {other.name} have the same number; remove one")
    return [number for number, _ in files], [file for _, file in files]
