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
from typing import NamedTuple

from flowstream.errors import VideoError

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes, in lower case, of images that can be frames."""

_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)", re.DOTALL)
_NUMBER_INSIDE = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)(?P<rest>[^0-9]+)", re.DOTALL)
_DECIMAL_SECONDS = re.compile(r"(?P<seconds>[0-9]{9,10})\.(?P<fraction>[0-9]{1,9})")
_CALENDAR = re.compile(
    r"(?P<prefix>.*?)(?P<day>[12][0-9]{3}[-_.]?[01][0-9][-_.]?[0-3][0-9])[-_. T]"
    r"(?P<time>[0-2][0-9][-_.:h]?[0-5][0-9][-_.:m]?[0-5][0-9])s?([-_.,](?P<fraction>[0-9]{1,6}))?Z?",
    re.DOTALL,
)
# Flow images beside the frames in the layout of denseflow, TSN and mmaction2, and its variants.
_FLOW = re.compile(r"(flow_?)?[xyuv]_?|flow_?[hij]_?", re.IGNORECASE)
_DATE = {14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%f", 20: "%Y%m%d%H%M%S%f"}
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
    skipped: list[Path]
    """Images whose names have no number, or not at the place of the others."""


class NumberedImage(NamedTuple):
    """Image with a number in its name."""

    prefix: str
    number: int
    rest: str
    """Part of the name behind the number, without the suffix."""
    file: Path

    @property
    def pattern(self) -> str:
        """Name with `*` for the number; images of one sequence have the same."""
        return f"{self.prefix}*{self.rest}{self.file.suffix.lower()}"


def find_sequence(path: Path) -> ImageSequence:
    """Return the sequence of images in a directory.

    In the layout of older tools, `img_*.jpg` beside the flow in `x_*.jpg` and `y_*.jpg`, that is
    `img_*.jpg`.

    Raises
    ------
    VideoError
        If there is no sequence, more than one, or one number twice.
    """
    images = list(numbered_images(path))
    sequences: dict[str, list[NumberedImage]] = {}
    for image in _read_dates(images) or images:
        sequences.setdefault(image.pattern, []).append(image)
    if not sequences:
        raise VideoError(
            f"{path}: a directory without numbered images is not a video; "
            "frames are named like img_00001.jpg"
        )
    frames = {name: of for name, of in sequences.items() if not _FLOW.fullmatch(of[0].prefix)}
    found = frames if len(frames) == 1 else sequences
    if len(found) > 1:
        shown = ", ".join(list(found)[:3]) + (", ..." if len(found) > 3 else "")
        raise VideoError(
            f"{path}: holds {len(found)} sequences of images: {shown}; keep one in a directory"
        )
    ((_, chosen),) = found.items()
    chosen.sort(key=lambda image: (image.number, image.file))
    for image, following in pairwise(chosen):
        if image.number == following.number:
            raise VideoError(
                f"{image.file} and {following.file.name} have the same number; remove one"
            )
    numbers = [image.number for image in chosen]
    stride = math.gcd(*(after - before for before, after in pairwise(numbers))) or 1
    places = [(number - numbers[0]) // stride for number in numbers]
    times = read_times(numbers)
    expected = places[-1] + 1 if times is None else None
    numbered = {image.file for image in images}
    skipped = [file for file in _list_images(path) if file not in numbered]
    return ImageSequence([image.file for image in chosen], places, expected, times, skipped)


def numbered_images(path: Path) -> Iterator[NumberedImage]:
    """Yield the numbered images directly in a directory.

    The number is at the end of the name. If no image has one there, it may be followed by a text
    that at least two images share: `0001_rgb.png`, `frame (1).png`.

    Raises
    ------
    VideoError
        If the directory cannot be read.
    """
    inside: dict[str, list[NumberedImage]] = {}
    is_plain = False
    for file in _list_images(path):
        if seconds := _DECIMAL_SECONDS.fullmatch(file.stem):
            is_plain = True
            number = int(seconds["seconds"] + seconds["fraction"].ljust(9, "0"))
            yield NumberedImage("", number, "", file)
        elif match := _NUMBERED.fullmatch(file.stem):
            is_plain = True
            yield NumberedImage(match["prefix"], int(match["number"]), "", file)
        elif match := _NUMBER_INSIDE.fullmatch(file.stem):
            image = NumberedImage(match["prefix"], int(match["number"]), match["rest"], file)
            inside.setdefault(image.pattern, []).append(image)
    if not is_plain:
        for images in inside.values():
            yield from images if len(images) > 1 else ()


def _list_images(path: Path) -> list[Path]:
    """Return the images directly in a directory by their suffixes, hidden ones left out."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise VideoError(f"{path}: cannot read the directory: {error.strerror}") from error
    files = (path / name for name in names if not name.startswith("."))
    return [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]


def _read_dates(images: list[NumberedImage]) -> list[NumberedImage] | None:
    """Return the images with dates as numbers (year to microsecond) if all names are dates.

    A counter behind a date (`20230101_000001`) looks like a time: it is one only if the counter
    would have gaps. A counter behind a time does not change the second.
    """
    dated, has_marks = [], False
    for image in images:
        match = _CALENDAR.fullmatch(image.file.stem)
        if match is None:
            return None
        has_marks |= not match["time"].isdigit()
        digits = re.sub("[^0-9]", "", match["day"] + match["time"])
        number = int(digits + (match["fraction"] or "").ljust(6, "0"))
        if _read_date(number) is None:
            return None
        dated.append(NumberedImage(match["prefix"], number, "", image.file))
    is_counter = len({image.pattern for image in images}) == 1 and _is_contiguous(images)
    if len({image.number // 10**6 for image in dated}) < 2 or (is_counter and not has_marks):
        return None
    return dated


def _is_contiguous(images: list[NumberedImage]) -> bool:
    numbers = sorted(image.number for image in images)
    return numbers[-1] - numbers[0] == len(numbers) - 1


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
