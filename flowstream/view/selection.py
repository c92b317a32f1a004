"""Selection of the fields to draw: `12`, `2.5s`, `10:40`, `1s:3.5s` or `all`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flowstream.errors import ParameterError

_BOUND = re.compile(r"(\d+)|(\d+(?:\.\d*)?|\.\d+)s")


@dataclass(frozen=True)
class Bound:
    """A field number or a time."""

    index: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Selection:
    """A range of fields, given by field numbers or by times.

    Parameters
    ----------
    start : Bound
        First field: a number, or the field during which the time passes.
    stop : Bound or None
        End of the range, which is not part of it; None for one field.
    text : str
        The selection as the user wrote it.
    """

    start: Bound = Bound(index=0)
    stop: Bound | None = None
    text: str = "0"

    @property
    def is_range(self) -> bool:
        """True if the selection may have more than one field."""
        return self.stop is not None

    def place(self, index: int, seconds: float, next_seconds: float) -> int:
        """Return -1, 0 or 1 if a field is before, in or after the selection.

        Parameters
        ----------
        index : int
        seconds, next_seconds : float
            Times of the frames that the field leads from and to.
        """
        if self.start.index is not None:
            before = index < self.start.index
        else:
            assert self.start.seconds is not None
            before = next_seconds <= self.start.seconds
        if before:
            return -1
        if self.stop is None:
            return int(self.start.index is not None and index > self.start.index) or int(
                self.start.seconds is not None and seconds > self.start.seconds
            )
        if self.stop.index is not None:
            return int(index >= self.stop.index)
        return int(self.stop.seconds is not None and seconds >= self.stop.seconds)

    def resolve(self, times: Sequence[float], where: str) -> range:
        """Return the selected fields of a clip with frames at `times`.

        Raises
        ------
        ParameterError
            If the clip has none of them.
        """
        count = len(times) - 1
        inside = [k for k in range(count) if self.place(k, times[k], times[k + 1]) == 0]
        if not inside:
            raise self.missing(where, count=count, seconds=times[-1])
        return range(inside[0], inside[-1] + 1)

    def missing(self, where: str, *, count: int, seconds: float) -> ParameterError:
        """Return the error for a clip that has none of the fields."""
        return ParameterError(
            f"{where}: --at {self.text}: expected a field from 0 to {count - 1}, or a time up to "
            f"{seconds:.2f}s; the clip has {count} fields"
        )


def parse_selection(text: str) -> Selection:
    """Read a selection of fields.

    Parameters
    ----------
    text : str
        `K` (field number), `T.Ts` (time in seconds), `A:B` (from A to B, without B; either end may
        be left out) or `all`.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    if text == "all":
        return Selection(stop=Bound(seconds=float("inf")), text=text)
    first, colon, second = text.partition(":")
    start = _parse_bound(first, text) if first or not colon else Bound(index=0)
    if not colon:
        return Selection(start=start, text=text)
    stop = _parse_bound(second, text) if second else Bound(seconds=float("inf"))
    return Selection(start=start, stop=stop, text=text)


def _parse_bound(text: str, whole: str) -> Bound:
    match = _BOUND.fullmatch(text.strip())
    if match is None:
        raise ParameterError(
            f"--at {whole}: expected a field number such as 12, a time such as 2.5s, a range "
            "such as 10:40 or 1s:3s, or 'all'"
        )
    number, seconds = match.groups()
    return Bound(index=int(number)) if number else Bound(seconds=float(seconds))
