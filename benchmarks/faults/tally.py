"""Counts of what became of the faults of one campaign."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

OUTCOMES = {
    "detected": "an error of one line, or the fault was worked around and recorded",
    "harmless": "the result is exactly that without the fault",
    "undetectable": "the result differs, and nothing in the file contradicts it; see the text",
    "lost": "finished work is gone, or is not done by the next run",
    "wrong": "another result, passed as right although the file shows the damage",
    "crashed": "a traceback, or the process died",
    "hung": "no end within the time limit",
}
"""Outcomes of a fault; those from `lost` on must not happen."""

# Faults whose time is remembered.
_REMEMBERED = 20
FAILURES = ("lost", "wrong", "crashed", "hung")


@dataclass(frozen=True)
class Budget:
    """Means of one campaign."""

    scratch: Path
    """Empty directory for files."""
    seed: int
    seconds: float
    """Time after which no new fault is tried."""
    most: int
    """Number of faults after which the campaign ends; about, as groups are completed."""
    started: float = field(default_factory=time.monotonic)
    tallies: list[Tally] = field(default_factory=list)
    """Tally of the campaign, which keeps its counts when the campaign is cut."""
    _asked: list[float] = field(default_factory=list)

    def tally(self, name: str) -> Tally:
        """Return a new tally of the campaign."""
        self.tallies.append(Tally(name))
        return self.tallies[-1]

    def generator(self) -> np.random.Generator:
        """Return a new generator of the campaign's random numbers."""
        return np.random.default_rng(self.seed)

    def is_spent(self, tried: int) -> bool:
        """Return whether the number of faults or the time is used up.

        To be asked before each fault: one that would last as long as the longest one so far must
        fit into the rest of the time.
        """
        now = time.monotonic() - self.started
        self._asked.append(now)
        longest = max((after - before for before, after in pairwise(self._asked)), default=0.0)
        del self._asked[: len(self._asked) - _REMEMBERED]
        return tried >= self.most or now + longest > self.seconds


@dataclass
class Tally:
    """Outcomes of one campaign."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    """One line for each failure."""
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """Number of faults."""
        return sum(self.counts.values())

    @property
    def failures(self) -> int:
        """Number of faults with an outcome that must not happen."""
        return sum(self.counts[outcome] for outcome in FAILURES)

    def add(self, outcome: str, what: str) -> None:
        """Count one fault; `what` describes it."""
        if outcome not in OUTCOMES:
            raise ValueError(f"unknown outcome {outcome!r}; known: {', '.join(OUTCOMES)}")
        self.counts[outcome] += 1
        if outcome in FAILURES:
            self.findings.append(f"{self.name}: {outcome}: {what}")


def format_tallies(tallies: Iterable[Tally]) -> str:
    """Return the tallies as a table in Markdown, with a line of sums."""
    tallies = list(tallies)
    total = Tally("all", sum((tally.counts for tally in tallies), Counter()))
    total.seconds = sum(tally.seconds for tally in tallies)
    head = ["faults in", "tried", *OUTCOMES, "s"]
    rows = [
        [
            tally.name,
            str(tally.tried),
            *(str(tally.counts[outcome]) for outcome in OUTCOMES),
            f"{tally.seconds:.0f}",
        ]
        for tally in (*tallies, total)
    ]
    return "\n".join([_row(head), _row(["---", *["---:"] * (len(head) - 1)]), *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
