"""Order, gaps and times of images in a directory, from their names."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from statistics import median

from flowstream.errors import VideoError

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes, in lower case, of images that can be frames."""

_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)", re.DOTALL)
_DECIMAL_SECONDS = re.compile(r"(?P<seconds>[0-9]{9,10})\.(?P<fraction>[0-9]{1,9})")
# Flow images beside the frames in the layout of denseflow, TSN and mmaction2.
_FLOW = re.compile(r"(flow_?)?[xy]_?", re.IGNORECASE)
_DATE = {14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%f"}
# Seconds since 1970 from 2001 to 2096; the same in ms, us and ns has 3, 6 and 9 digits more.
_EPOCH = range(10**9, 4 * 10**9)
_UNITS = (1.0, 1e-3, 1e-6, 1e-9)
# Time between frames of anything that is called a video, in seconds.
_USUAL_GAP = 0.002, 60.0


@dataclass(frozen=True)
class ImageSequence:
    """Images of one video in order."""

    files: list[Path]
    places: list[int]
    """Number of steps of the numbering from the first image to each."""
    expected: int | None
    """Number of images that the numbering states; None if the names are times."""
    times: list[float] | None
    """Seconds after the first image by the names; None if they are frame numbers."""


def find_sequence(path: Path) -> ImageSequence:
    """Return the sequence of images in a directory.

    In the layout of older tools, `img_*.jpg` beside the flow in `x_*.jpg` and `y_*.jpg`, that is
    `img_*.jpg`.

    Raises
    ------
    VideoError
        If there is no sequence, more than one, or one number twice.
    """
    sequences: dict[str, list[tuple[int, Path]]] = {}
    frames: dict[str, list[tuple[int, Path]]] = {}
    for prefix, number, file in numbered_images(path):
        name = f"{prefix}*{file.suffix}"
        sequences.setdefault(name, []).append((number, file))
        if not _FLOW.fullmatch(prefix):
            frames.setdefault(name, []).append((number, file))
    if not sequences:
        raise VideoError(
            f"{path}: a directory without numbered images is not a video; "
            "frames are named like img_00001.jpg"
        )
    found = frames if len(frames) == 1 else sequences
    if len(found) > 1:
        shown = ", ".join(list(found)[:3]) + (", ..." if len(found) > 3 else "")
        raise VideoError(
            f"{path}: holds {len(found)} sequences of images: {shown}; keep one in a directory"
        )
    ((_, files),) = found.items()
    files.sort()
    for (number, file), (following, other) in pairwise(files):
        if number == following:
            raise VideoError(f"{file} and {other.name} have the same number; remove one")
    numbers = [number for number, _ in files]
    stride = math.gcd(*(after - before for before, after in pairwise(numbers))) or 1
    places = [(number - numbers[0]) // stride for number in numbers]
    times = read_times(numbers)
    expected = places[-1] + 1 if times is None else None
    return ImageSequence([file for _, file in files], places, expected, times)


def numbered_images(path: Path) -> Iterator[tuple[str, int, Path]]:
    """Yield prefix, number and path of each numbered image directly in a directory.

    Raises
    ------
    VideoError
        If the directory cannot be read.
    """
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise VideoError(f"{path}: cannot read the directory: {error.strerror}") from error
    for name in names:
        file = path / name
        if file.suffix.lower() not in IMAGE_SUFFIXES or name.startswith("."):
            continue
        if seconds := _DECIMAL_SECONDS.fullmatch(file.stem):
            yield "", int(seconds["seconds"] + seconds["fraction"].ljust(9, "0")), file
        elif match := _NUMBERED.fullmatch(file.stem):
            yield match["prefix"], int(match["number"]), file


def read_times(numbers: list[int]) -> list[float] | None:
    """Return seconds after the first number if the sorted numbers are time stamps, else None.

    Time stamps are dates (20240131235959), seconds since 1970 with 0, 3, 6 or 9 digits of fraction,
    or numbers far apart whose typical distance is that of video frames in ms, us or ns.
    """
    if len(numbers) < 2:
        return None
    dates = [_read_date(number) for number in numbers]
    if None not in dates:
        return [date - (dates[0] or 0.0) for date in dates if date is not None]
    unit = _find_unit(numbers)
    return None if unit is None else [(number - numbers[0]) * unit for number in numbers]


def _read_date(number: int) -> float | None:
    text = str(number)
    layout = _DATE.get(len(text))
    if layout is None:
        return None
    try:
        return datetime.strptime(text, layout).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _find_unit(numbers: list[int]) -> float | None:
    """Return the seconds of one unit, or None for frame numbers."""
    gap = median(after - before for before, after in pairwise(numbers))
    for unit in _UNITS:
        scale = round(1 / unit)
        if numbers[0] // scale in _EPOCH and numbers[-1] // scale in _EPOCH:
            return unit
    stride = math.gcd(*(after - before for before, after in pairwise(numbers)))
    if gap < 1000 or (numbers[-1] - numbers[0]) // stride < 2 * len(numbers):
        return None
    usual = [unit for unit in _UNITS[:0:-1] if _USUAL_GAP[0] <= gap * unit <= _USUAL_GAP[1]]
    return usual[0] if usual else None
