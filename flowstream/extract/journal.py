"""What became of each video: one JSON line each in `DIR/extract.jsonl`, and the sum of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from flowstream.errors import ExtractionError

JOURNAL_NAME = "extract.jsonl"


@dataclass(frozen=True)
class Outcome:
    """What became of one video.

    Parameters
    ----------
    source, output : str
        The video, and its stack file.
    status : "done", "skipped" or "failed"
        Skipped: the stack was there already, complete and made with the same settings.
    error : str
        One line; empty unless failed.
    frames, pairs : int
        Sampled frames and fields in the stack, 0 where there is none.
    seconds : float
        Time that this run spent on it.
    bytes : int
        Size of the stack file.
    clipped : float
        Fraction of vectors at the codec's bound.
    """

    source: str
    output: str
    status: Literal["done", "skipped", "failed"]
    error: str = ""
    frames: int = 0
    pairs: int = 0
    seconds: float = 0.0
    bytes: int = 0
    clipped: float = 0.0


@dataclass(frozen=True)
class Summary:
    """The outcomes of a run, each group in the order of the plan."""

    done: tuple[Outcome, ...]
    skipped: tuple[Outcome, ...]
    failed: tuple[Outcome, ...]
    seconds: float
    """Time from start to end."""

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], *, seconds: float) -> Summary:
        """Group outcomes by their status."""
        groups: dict[str, list[Outcome]] = {"done": [], "skipped": [], "failed": []}
        for outcome in outcomes:
            groups[outcome.status].append(outcome)
        return cls(**{name: tuple(group) for name, group in groups.items()}, seconds=seconds)

    @property
    def pairs_per_second(self) -> float:
        """Frame pairs that this run estimated, over its whole duration."""
        pairs = sum(outcome.pairs for outcome in self.done)
        return pairs / self.seconds if self.seconds else 0.0


class Journal:
    """Appends outcomes to a file; lines of earlier runs stay.

    A process killed in the middle of a line leaves a torn one: it is ended before the next, and
    `read_journal` passes over it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        file.write(b"\n")
        except OSError as error:
            raise ExtractionError(f"{path}: cannot write the journal: {error.strerror}") from error

    def append(self, outcome: Outcome) -> None:
        """Write one outcome as one line, in one write."""
        line = json.dumps(asdict(outcome)) + "\n"
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode())


def read_journal(path: Path) -> list[Outcome]:
    """The outcomes in a journal, oldest first; the last one of an output is what holds."""
    names = {field.name for field in fields(Outcome)}
    outcomes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # torn by a kill
        if isinstance(record, dict) and record.keys() == names:
            outcomes.append(Outcome(**record))
    return outcomes
