"""Parts of a video: a span of frames or seconds, or two frames."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from flowstream.errors import ParameterError
from flowstream.video.sampling import ROUNDING, Timed

UNITS = ("frames", "seconds")
_FRAMES = re.compile(r"\d+f")
_ZERO = re.compile(r"0+(\.0*)?f?")
_ROUNDED_ANNOTATION = 0.1


@dataclass(frozen=True)
class Span:
    """Frames of a video from `start` up to but not including `end`.

    Raises
    ------
    ParameterError
        If a number is out of range or the unit is unknown.
    """

    start: float = 0
    """First frame index, or first presentation time in seconds."""
    end: float | None = None
    """Frame index or time where the span ends; None for the end of the video."""
    unit: str = "frames"
    """`frames` or `seconds`."""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ParameterError(f"unit: got {self.unit!r}, expected 'frames' or 'seconds'")
        numbers = [self.start] if self.end is None else [self.start, self.end]
        if not all(math.isfinite(number) for number in numbers) or self.start < 0:
            raise ParameterError(f"span: got {self}, expected numbers of at least 0")
        if self.end is not None and self.end <= self.start:
            raise ParameterError(f"span: got {self}, expected an end after the start")

    def __str__(self) -> str:
        end = "the end" if self.end is None else f"{self.end:g}"
        return f"{self.unit} {self.start:g} to {end}"

    def has_begun(self, frame: Timed) -> bool:
        """Return whether a frame is in the span or after it."""
        return self._place(frame) >= self.start

    def is_over(self, frame: Timed) -> bool:
        """Return whether a frame is after the span."""
        return self.end is not None and self._place(frame) >= self.end

    def ends_after(self, last: int, seconds: float) -> bool:
        """Return whether the span ends after a video with this last frame, which ends at a time."""
        if self.end is None:
            return False
        if self.unit == "frames":
            return self.end > last + 1
        # Annotations are often rounded to tenths of a second.
        return self.end > seconds + _ROUNDED_ANNOTATION

    def selects(self, frame: Timed) -> bool:
        """Return whether a frame is in the span."""
        return self.has_begun(frame) and not self.is_over(frame)

    def _place(self, frame: Timed) -> float:
        return frame.index if self.unit == "frames" else frame.seconds + ROUNDING


@dataclass(frozen=True)
class Pair:
    """Two frames of a video, such as onset and apex of an expression.

    Raises
    ------
    ParameterError
        If the first is below 0 or the second is not after it.
    """

    first: int
    """Frame index."""
    second: int
    """Frame index."""

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.second:
            raise ParameterError(f"pair: got {self}, expected 0 <= first < second")

    def __str__(self) -> str:
        return f"frames {self.first} and {self.second}"

    def is_over(self, frame: Timed) -> bool:
        """Return whether a frame is after the second one."""
        return frame.index > self.second

    def selects(self, frame: Timed) -> bool:
        """Return whether a frame is one of the two."""
        return frame.index in (self.first, self.second)


Part: TypeAlias = Span | Pair


def part_label(part: Span | Pair) -> str:
    """Return a short name of a part of a video: `2.5-4s`, `10-40f` or `3+17f`.

    The stack of a part is called `VIDEO@LABEL.h5`.
    """
    if isinstance(part, Pair):
        return f"{part.first}+{part.second}f"
    end = "" if part.end is None else f"{part.end:.10g}"
    return f"{part.start:.10g}-{end}{part.unit[0]}"


def read_part(row: Mapping[str, str]) -> Span | Pair | None:
    """Return the part of a video that a row of a manifest selects; None for all of it.

    Raises
    ------
    ParameterError
        If a cell is not a number, or only one of two cells is filled.
    """
    cells = {name: row.get(name, "") for name in ("start", "end", "first", "second")}
    filled = {name for name, text in cells.items() if text}
    if not filled:
        return None
    if filled == {"first", "second"}:
        return Pair(_whole("first", cells["first"]), _whole("second", cells["second"]))
    if filled & {"first", "second"}:
        raise ParameterError(
            "expected 'first' and 'second', or 'start' and 'end', or none of them; got only "
            f"{', '.join(sorted(filled))}"
        )
    frames = {name for name in filled if _FRAMES.fullmatch(cells[name])}
    zeros = {name for name in filled if _ZERO.fullmatch(cells[name])}  # the same in both units
    if frames - zeros and filled - frames - zeros:
        raise ParameterError(
            "expected 'start' and 'end' both in seconds (12.5) or both in frames (300f), got "
            f"{cells['start']!r} and {cells['end']!r}"
        )
    unit = "frames" if frames - zeros or (frames and filled == zeros) else "seconds"
    cells |= dict.fromkeys(zeros, "0")
    read = _whole if unit == "frames" else _seconds
    start = read("start", cells["start"]) if cells["start"] else 0
    end = read("end", cells["end"]) if cells["end"] else None
    return Span(start, end, unit)


def _whole(name: str, text: str) -> int:
    if not text.removesuffix("f").isdecimal():
        raise ParameterError(f"{name}: expected a frame index, got {text!r}")
    return int(text.removesuffix("f"))


def _seconds(name: str, text: str) -> float:
    with suppress(ValueError):
        if math.isfinite(seconds := float(text)):
            return seconds
    raise ParameterError(f"{name}: expected seconds (12.5) or frames (300f), got {text!r}")
