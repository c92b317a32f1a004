"""Parts of a video: a span of frames or seconds, or two frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from flowstream.errors import ParameterError
from flowstream.video.sampling import ROUNDING, Timed

UNITS = ("frames", "seconds")


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
