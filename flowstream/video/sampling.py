"""Choice of the frames that are taken from a video, and of their size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Protocol, TypeVar

from flowstream.errors import ParameterError
from flowstream.ranges import check_at_least, check_positive
from flowstream.types import Size
from flowstream.video.depth import parse_depth_range

# Matroska and FLV round presentation times to whole milliseconds, half of one either way; without
# this slack, resampling to a video's own rate would now and then repeat a frame and drop the next.
ROUNDING = 0.0005 + 1e-6
# Longest time that resampling repeats one frame: what ffmpeg takes for a jump of the clock. Of a
# video with few frames, such as one a minute, three periods.
LONGEST_HOLD = 10.0


class Timed(Protocol):
    """Item that appears on screen at a time."""

    @property
    def index(self) -> int:
        """Position in the video."""

    @property
    def seconds(self) -> float:
        """Time of appearance after the first item."""


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True)
class Sampling:
    """Choice of the frames that are taken from a video, and of their size and grey levels.

    Frames are taken either by `step` or, if `fps` is given, by presentation time: for output tick
    k, the frame on screen k / fps seconds after the first. Of a part of a video, the first frame is
    that of the part. The size is one of three: the video's own, `short_side` with the aspect ratio
    kept, or `size`.

    Raises
    ------
    ParameterError
        If a number is out of range, or two parameters exclude each other.
    """

    step: int = 1
    """Every step-th decoded frame is taken, from the first."""
    fps: float | None = None
    """Frames per second to resample to; if it is above the video's rate, frames repeat."""
    short_side: int | None = None
    """Pixels of the shorter side; the other is rounded to keep the aspect ratio."""
    size: Size | None = None
    """Exact (rows, columns)."""
    square_pixels: bool = False
    """Stretch a video whose pixels are not square in width, to its aspect ratio."""
    depth_range: str = "auto"
    """Mapping of samples with more than 8 bits to 8 bits: `full` uses the full range, `LO:HI` maps
    the value LO to 0 and HI to 255, and `auto` takes the range that the video uses if that is less
    than a quarter of the full range, else the full range."""
    stream: int | None = None
    """FFmpeg's index of the video stream; None for the default stream."""

    def __post_init__(self) -> None:
        check_at_least("step", self.step, 1)
        if self.fps is not None:
            check_positive("fps", self.fps)
        if self.short_side is not None:
            check_at_least("short_side", self.short_side, 1)
        if self.stream is not None:
            check_at_least("stream", self.stream, 0)
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ParameterError(f"size: expected (rows, columns), each above 0, got {self.size}")
        if self.step != 1 and self.fps is not None:
            raise ParameterError(f"step {self.step} and fps {self.fps}: give one of the two")
        if self.size is not None and self.short_side is not None:
            raise ParameterError(
                f"size {self.size} and short_side {self.short_side}: give one of the two"
            )
        parse_depth_range(self.depth_range)

    def target(self, rows: int, columns: int, aspect: Fraction = Fraction(1)) -> Size:
        """Return the (rows, columns) to which a frame of `rows` x `columns` is resized.

        `aspect` is width to height of a pixel; it counts with `square_pixels` only.
        """
        if self.size is not None:
            return self.size
        if self.square_pixels:
            columns = max(1, _round(columns * aspect))
        if self.short_side is None:
            return rows, columns
        scale = Fraction(self.short_side, min(rows, columns))
        return _round(rows * scale), _round(columns * scale)

    def select(
        self,
        frames: Iterable[T],
        *,
        period: float,
        end: Callable[[float], float] = lambda until: until,
        note: Callable[[str], None] = lambda line: None,
    ) -> Iterator[T]:
        """Yield those of the frames that are taken, in order, holding two of them at most.

        Parameters
        ----------
        frames : iterable of Timed
            All frames of a video, or of a part of it.
        period : float
            Mean seconds between frames, during which the last one is shown; used with `fps`.
        end : callable
            Called after the last frame with the time until which it is shown according to
            `period`; returns the true time.
        note : callable
            Gets one line for each frame whose repetition is cut short.
        """
        if self.fps is None:
            return islice(frames, 0, None, self.step)
        return _on_screen(frames, self.fps, period=period, end=end, note=note)


def _round(value: Fraction) -> int:
    # exact, so that halves round up on every machine
    return math.floor(value + Fraction(1, 2))


def _on_screen(
    frames: Iterable[T],
    fps: float,
    *,
    period: float,
    end: Callable[[float], float],
    note: Callable[[str], None],
) -> Iterator[T]:
    tick, origin, slack = 0, 0.0, ROUNDING
    shown = None
    hold = max(LONGEST_HOLD, 3 * period)
    for frame in frames:
        if shown is None and frame.seconds:
            # A part of a video: the time of its first frame is rounded as well.
            origin, slack = frame.seconds, 2 * ROUNDING
        if shown is not None:
            until = min(frame.seconds, shown.seconds + hold)
            while origin + tick / fps + slack < until:
                yield shown
                tick += 1
            if until < frame.seconds:
                note(
                    f"frame {shown.index} is shown for {frame.seconds - shown.seconds:.3g} s; "
                    f"resampling repeats it for {hold:.3g} s only"
                )
                tick = math.ceil((frame.seconds - origin - slack) * fps)
        shown = frame
    if shown is None:
        return
    until = min(end(shown.seconds + period), shown.seconds + hold)
    while origin + tick / fps + slack < until:
        yield shown
        tick += 1
