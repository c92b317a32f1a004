"""Progress of long work: a bar on a terminal, a line every 30 s in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")

LOG_SECONDS = 30.0
"""Seconds between two lines if the stream is not a terminal."""


class Progress:
    """Progress of one task, written to stderr.

    On a terminal this is a tqdm bar. Elsewhere (a log file, a pipe) it is one complete line
    every `LOG_SECONDS`, because moving bars fill a file with control characters.

    Parameters
    ----------
    total : int, optional
        Number of units to do; None if it is not known.
    title, unit : str
        Name of the task, and what is counted, in the singular.
    enabled : bool
        False writes nothing.
    keep : bool
        Leave the finished bar on the terminal. Nested tasks use False.
    stream : text file, optional
        stderr by default.
    """

    def __init__(
        self,
        total: int | None = None,
        *,
        title: str = "",
        unit: str = "item",
        enabled: bool = True,
        keep: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.total = total
        self.done = 0
        self._title = title
        self._unit = unit
        self._enabled = enabled
        self._stream = stream or sys.stderr
        self._note = ""
        self._initial = 0
        self._started = self._logged = time.monotonic()
        self._bar: tqdm[None] | None = None
        if enabled and self._stream.isatty():
            # loading tqdm takes 40 ms, which a log file does not need
            from tqdm import tqdm

            self._bar = tqdm(
                total=total,
                desc=title or None,
                unit=unit,
                file=self._stream,
                leave=keep,
                smoothing=0.05,
                dynamic_ncols=True,
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, units: int = 1, *, note: str | None = None) -> None:
        """Count finished units; `note` is shown behind the numbers until the next one."""
        self.set_done(self.done + units, note=note)

    def set_done(self, done: int, *, total: int | None = None, note: str | None = None) -> None:
        """Set the number of finished units, and the total if a better value is known."""
        if self._bar is not None:
            if note is not None and note != self._note:
                self._bar.set_postfix_str(note, refresh=False)
            if total is not None:
                self._bar.total = total
            self._bar.update(max(0, done - self.done))
        self.done = done
        self.total = self.total if total is None else total
        self._note = self._note if note is None else note
        if self._bar is None and time.monotonic() - self._logged >= LOG_SECONDS:
            self._log()

    def skip(self, units: int) -> None:
        """Count units that an earlier run has finished; they do not count as speed."""
        self.done += units
        self._initial += units
        if self._bar is not None:
            self._bar.initial = self._initial
            self._bar.n = self.done
            self._bar.refresh()

    def say(self, text: str) -> None:
        """Write a line without breaking the bar."""
        if not self._enabled:
            return
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def close(self) -> None:
        """Remove or finish the bar; in a log, write the last line if there were others."""
        if self._bar is not None:
            self._bar.close()
        elif self._logged > self._started:
            self._log()
        self._enabled = False

    def _log(self) -> None:
        now = time.monotonic()
        self._logged = now
        if not self._enabled:
            return
        rate = (self.done - self._initial) / max(1e-9, now - self._started)
        parts = [f"{self.done:,}{f' of {self.total:,}' if self.total else ''} {self._unit}s"]
        if self.total:
            parts.append(f"{min(1.0, self.done / self.total):.0%}")
        parts.append(f"{rate:.3g} {self._unit}s/s")
        if self.total and 0 < self.done < self.total and rate > 0:
            parts.append(f"{format_seconds((self.total - self.done) / rate)} left")
        if self._note:
            parts.append(self._note)
        self.say(f"{self._title}: " * bool(self._title) + ", ".join(parts))


def track(
    items: Iterable[Item], total: int | None = None, *, title: str = "", unit: str = "item"
) -> Iterator[Item]:
    """Yield the items and show how many are done, as `Progress` does; its bar does not stay."""
    with Progress(total, title=title, unit=unit, keep=False) as progress:
        for item in items:
            yield item
            progress.update()


def format_seconds(seconds: float) -> str:
    """Return a duration for people: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
