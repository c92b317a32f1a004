"""Which frames are taken from a video, and at what size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from flowstream.errors import ParameterError
from flowstream.types import Size

# Matroska and FLV round presentation times to whole milliseconds, half of one either way; without
# this slack, resampling to a video's own rate would now and then repeat a frame and drop the next.
ROUNDING = 0.0005 + 1e-6


class Timed(Protocol):
    """Something that appears on screen at a time."""

    @property
    def seconds(self) -> float:
        """When it appears, from the first one's appearance."""


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True)
class Sampling:
    """Which frames are taken from a video, and at what size.

    Frames are taken either by `step` or, where `fps` is given, by presentation time: for output
    tick k, the frame on screen k / fps seconds after the first. The size is one of three: the
    video's own, `short_side` with the aspect kept, or `size`.

    Raises
    ------
    ParameterError
        If a number is out of range, or two parameters exclude each other.
    """

    step: int = 1
    """Every step-th decoded frame is taken, from the first."""
    fps: float | None = None
    """Frames per second to resample to; where it is above the video's, frames repeat."""
    short_side: int | None = None
    """Pixels of the shorter side; the other is rounded to keep the aspect."""
    size: Size | None = None
    """Exact (rows, columns)."""

    def __post_init__(self) -> None:
        if self.step < 1:
            raise ParameterError(f"step: got {self.step}, expected at least 1")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise ParameterError(f"fps: got {self.fps}, expected a positive number")
        if self.short_side is not None and self.short_side < 1:
            raise ParameterError(f"short_side: got {self.short_side}, expected at least 1")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ParameterError(f"size: got {self.size}, expected (rows, columns), each above 0")
        if self.step != 1 and self.fps is not None:
            raise ParameterError(f"step {self.step} and fps {self.fps}: give one of the two")
        if self.size is not None and self.short_side is not None:
            raise ParameterError(
                f"size {self.size} and short_side {self.short_side}: give one of the two"
            )

    def target(self, rows: int, columns: int) -> Size:
        """(rows, columns) that a frame of `rows` x `columns` is resized to."""
        if self.size is not None:
            return self.size
        if self.short_side is None:
            return rows, columns
        short = min(rows, columns)
        # whole numbers, so that halves round up on every machine
        scaled = ((2 * side * self.short_side + short) // (2 * short) for side in (rows, columns))
        height, width = scaled
        return height, width

    def select(self, frames: Iterable[T], *, period: float) -> Iterator[T]:
        """Those of a video's frames that are taken, in order, holding two of them at most.

        `period` is how long the last one stays on screen, in seconds; it counts with `fps` only.
        """
        if self.fps is None:
            return islice(frames, 0, None, self.step)
        return _on_screen(frames, self.fps, period=period)


def _on_screen(frames: Iterable[T], fps: float, *, period: float) -> Iterator[T]:
    tick = 0
    shown = None
    for frame in frames:
        while shown is not None and tick / fps + ROUNDING < frame.seconds:
            yield shown
            tick += 1
        shown = frame
    while shown is not None and tick / fps + ROUNDING < shown.seconds + period:
        yield shown
        tick += 1
