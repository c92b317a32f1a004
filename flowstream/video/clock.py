"""Presentation times from time stamps that repeat, are missing or jump."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import median
from typing import TypeVar

# In formats whose clock may jump (MPEG-TS and the like), a stamp this far from the expected time
# starts a new clock, as in ffmpeg (-dts_delta_threshold), and so does a step back of 0.1 s.
JUMP_SECONDS = 10.0
_STEP_BACK_SECONDS = 0.1
# Other formats keep long pauses, since a recorder may show one frame for an hour. A step back of
# more than a second is beyond what misplaced B-frames make.
_FAR_BACK_SECONDS = 1.0
# Frames without a usable stamp that are held back until the next stamp shows where they belong.
_HELD = 4
_MOST_NOTES = 8
# Stamps in whole milliseconds are off by one at either end of a gap.
_STAMP_ERROR = 0.002

T = TypeVar("T")


class Clock:
    """Presentation times in seconds after the first frame, always increasing.

    A frame without a stamp, or with a stamp that is not later than the one before, is placed
    between its neighbours. After a jump of the clock the frame follows by one frame period, and the
    times go on from there.

    Parameters
    ----------
    period : float
        Mean seconds between frames.
    may_jump : bool
        True if the clock of the format may jump, so that a long gap is not a pause.
    """

    def __init__(self, *, period: float, may_jump: bool) -> None:
        self._period = period
        self._may_jump = may_jump
        self._shift: float | None = None
        self._last: float | None = None
        self._previous_stamp = 0.0
        self._count = 0
        self._stamped = 0
        self.jumps: list[tuple[int, float]] = []
        """Frame index and seconds of each jump."""

    def place(self, frames: Iterable[tuple[T, float | None]]) -> Iterator[tuple[T, float]]:
        """Yield each item with its time, given its stamp in seconds or None.

        At most four items are held back.
        """
        held: list[T] = []
        stamps: list[float | None] = []
        for item, stamp in frames:
            time = self._read(stamp, len(held))
            if time is None:
                held.append(item)
                stamps.append(stamp)
                self._stamped += stamp is None
                if len(held) > _HELD:
                    self._restart(stamps)
                    yield from self._spread(held, until=None)
                    held, stamps = [], []
                continue
            yield from self._spread(held, until=time)
            held, stamps = [], []
            self._stamped += 1
            yield item, self._emit(time)
        yield from self._spread(held, until=None)

    def fps(self) -> float:
        """Return the mean frames per second of the frames so far; 0.0 if unknown."""
        # Frames that repeat a stamp would raise the rate.
        count = self._stamped if self._stamped > 1 else self._count
        return (count - 1) / self._last if count > 1 and self._last else 0.0

    def _read(self, stamp: float | None, held: int) -> float | None:
        """Return the time of a stamp, or None if it does not say when the frame is shown."""
        if stamp is None:
            return None
        if self._last is None:
            self._shift = stamp - held * self._period
            self._previous_stamp = stamp
            return held * self._period
        expected = self._last + (held + 1) * self._period
        if self._shift is None:  # the first frames had no stamps
            self._shift = stamp - expected
        time = stamp - self._shift
        if self._is_jump(time, expected):
            self.jumps.append((self._count + held, time - expected))
            self._shift += time - expected
            time = expected
        increases = stamp > self._previous_stamp
        self._previous_stamp = stamp
        if time > self._last:
            return time
        # Times ran ahead of the stamps; half periods let the stamps catch up.
        return self._last + self._period / 2 if increases and not held else None

    def _restart(self, stamps: list[float | None]) -> None:
        """Follow the stamps of held frames if they count up from an earlier time on.

        So they do where recordings are joined; misplaced stamps come one or two at a time.
        """
        known = [stamp for stamp in stamps if stamp is not None]
        is_rising = all(after > before for before, after in pairwise(known))
        if self._last is None or self._shift is None or len(known) < len(stamps) or not is_rising:
            return
        behind = known[-1] - self._shift - self._last
        if behind < 0:
            missing = behind - len(known) * self._period
            self.jumps.append((self._count, missing))
            self._shift += missing
            self._stamped += len(known)

    def _is_jump(self, time: float, expected: float) -> bool:
        assert self._last is not None
        if self._may_jump:
            return time - expected > JUMP_SECONDS or time < self._last - _STEP_BACK_SECONDS
        return time < self._last - _FAR_BACK_SECONDS

    def _spread(self, items: list[T], *, until: float | None) -> Iterator[tuple[T, float]]:
        """Place items after the last time: one period apart, closer if `until` is near."""
        gap = self._period
        if until is not None and self._last is not None:
            gap = min(gap, (until - self._last) / (len(items) + 1))
        for item in items:
            yield item, self._emit(0.0 if self._last is None else self._last + gap)

    def _emit(self, time: float) -> float:
        self._last = time
        self._count += 1
        return time


def describe_jumps(jumps: list[tuple[int, float]]) -> list[str]:
    """Return one line for each jump of a clock, and one for all above eight."""
    lines = [
        f"the clock jumps by {seconds:+.3g} s at frame {index}; times continue by one frame period"
        for index, seconds in jumps[:_MOST_NOTES]
    ]
    if len(jumps) > _MOST_NOTES:
        lines.append(f"the clock jumps {len(jumps) - _MOST_NOTES} more times")
    return lines


def measure_rate(stamps: list[float], stated: list[float]) -> tuple[float, bool]:
    """Return the frames per second of the first stamps, and whether the gaps between them vary.

    Parameters
    ----------
    stamps : list of float
        Seconds, in any order.
    stated : list of float
        Rates that the header states; one that agrees with the stamps within their rounding is
        returned as it is.
    """
    ordered = sorted(set(stamps))
    gaps = [after - before for before, after in pairwise(ordered)]
    gaps = [gap for gap in gaps if gap <= JUMP_SECONDS] or gaps
    if not gaps:
        return next((rate for rate in stated if rate), 0.0), False
    mean = sum(gaps) / len(gaps)
    varies = max(gaps) - min(gaps) > _STAMP_ERROR + 0.1 * mean
    # the same rounding, over all gaps
    tolerance = _STAMP_ERROR + _STAMP_ERROR / sum(gaps)
    usual = mean
    if len(ordered) < len(stamps):
        # Repeated stamps leave holes elsewhere; the usual gap is the period.
        usual, tolerance = median(gaps), _STAMP_ERROR / median(gaps)
    near = [rate for rate in stated if rate and abs(rate * usual - 1) < tolerance]
    return (near[0] if near else 1 / usual), varies
