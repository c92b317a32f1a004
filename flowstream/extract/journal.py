"""The journal of a batch: one JSON line per video in `DIR/extract.jsonl`, and run summaries.

The journal is also the index of finished stacks: a line holds the sizes and modification times of a
video and its stack, so that a run does not have to open stacks that are complete.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from flowstream.disk import open_regular
from flowstream.errors import ExtractionError

JOURNAL_NAME = "extract.jsonl"
SETTINGS_START = b'{"run_settings": '
"""Start of a line of a shard's journal that holds the settings of a run, not an outcome."""
_SHARD_NAME = re.compile(r"extract\.(\d+)-of-(\d+)\.jsonl")


@dataclass(frozen=True)
class Outcome:
    """Result of one video.

    Parameters
    ----------
    source, output : str
        The video, and its stack. The journal holds the output relative to its directory, and the
        `working_directory` of a run with a relative source.
    status : "done", "skipped" or "failed"
        Skipped: the stack existed, complete and with the same settings.
    error : str
        One line; empty unless failed.
    frames, pairs : int
        Number of sampled frames and of fields in the stack; 0 if there is none.
    seconds : float
        Time that this run spent on it.
    bytes : int
        Size of the stack.
    clipped, below_step : float
        Fraction of vectors at the codec's bound, and of moving vectors stored as zero.
    corrupt : int
        Number of frames that the decoder marked as corrupt.
    notes : tuple of str
        Irregularities of the video, one line each.
    attempt : int
        Number of runs that have tried this video since it last succeeded.
    settings : str
        Digest of the settings.
    modified, source_bytes, source_modified : int
        Modification time of the stack, and size and modification time of the video, in
        nanoseconds and bytes.
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
    below_step: float = 0.0
    corrupt: int = 0
    notes: tuple[str, ...] = ()
    attempt: int = 1
    settings: str = ""
    modified: int = 0
    source_bytes: int = 0
    source_modified: int = 0


_NAMES = frozenset(field.name for field in fields(Outcome))
_STATUSES = frozenset({"done", "skipped", "failed"})
_MOST = 2**63
_JSON_TYPES: dict[str, Any] = {"int": int, "float": int | float, "tuple[str, ...]": list}
_TYPES = {field.name: _JSON_TYPES.get(str(field.type), str) for field in fields(Outcome)}
"""Type of each value in a line; names of types are strings here, because of the future import."""


@dataclass(frozen=True)
class Summary:
    """The outcomes of a run, each group in the order of the jobs."""

    done: tuple[Outcome, ...]
    skipped: tuple[Outcome, ...]
    failed: tuple[Outcome, ...]
    seconds: float
    """Duration of the run."""

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], *, seconds: float) -> Summary:
        """Group outcomes by their status."""
        groups: dict[str, list[Outcome]] = {"done": [], "skipped": [], "failed": []}
        for outcome in outcomes:
            groups[outcome.status].append(outcome)
        return cls(**{name: tuple(group) for name, group in groups.items()}, seconds=seconds)

    @property
    def pairs_per_second(self) -> float:
        """Frame pairs estimated by this run per second of its duration."""
        pairs = sum(outcome.pairs for outcome in self.done)
        return pairs / self.seconds if self.seconds else 0.0


class Journal:
    """Writer of a journal; lines of earlier runs are kept.

    A process that is killed while it writes leaves a truncated line: it is ended here before the
    next line, and skipped by `read_journal`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("ab+") as file:
                status = os.fstat(file.fileno())
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        file.write(b"\n")
        except OSError as error:
            raise self._cannot_write(error) from error
        self._identity = status.st_dev, status.st_ino

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Write outcomes, one line each, in one write.

        Raises
        ------
        ExtractionError
            If the journal cannot be written, or was removed or replaced since the run started.
        """
        lines = "".join(map(self._line, outcomes))
        if lines:
            self._write(lines)

    def _write(self, lines: str) -> None:
        try:
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) != self._identity:
                raise FileNotFoundError(2, "the file was replaced during the run")
            with self.path.open("ab", buffering=0) as file:
                if file.write(lines.encode()) < len(lines.encode()):
                    raise OSError(28, "No space left on device")
        except OSError as error:
            raise self._cannot_write(error) from error

    def append_settings(self, values: Mapping[str, Any]) -> None:
        """Write the settings of a run, for shards that start while it runs.

        Raises
        ------
        ExtractionError
            As `append` does.
        """
        self._write(SETTINGS_START.decode() + json.dumps(values, default=str) + "}\n")

    def _line(self, outcome: Outcome) -> str:
        record: dict[str, Any] = asdict(outcome)
        if not os.path.isabs(outcome.source):
            with suppress(OSError):
                record["working_directory"] = os.getcwd()
        record["output"] = relative_output(outcome.output, self.path.parent)
        return json.dumps(record) + "\n"

    def _cannot_write(self, error: OSError) -> ExtractionError:
        reason = error.strerror or "Not a regular file"
        return ExtractionError(
            f"{self.path}: cannot write the journal: {reason}. Repair the directory "
            "and run the same command again to continue"
        )


def relative_output(output: str | Path, directory: Path) -> str:
    """Return a stack's path below the output directory, with `/`."""
    text, start = os.fspath(output), os.path.join(directory, "")
    if text.startswith(start):
        text = text[len(start) :]
    return text.replace(os.sep, "/")


def shard_journal(directory: Path, index: int, count: int) -> Path:
    """Return the journal of one shard while it runs."""
    return directory / f"extract.{index}-of-{count}.jsonl"


def journal_paths(directory: Path) -> list[Path]:
    """Return the journals in a directory: the common one, and those of shards not merged yet."""
    main = directory / JOURNAL_NAME
    return [path for path in [main, *shard_journals(directory)] if path.exists()]


def shard_journals(directory: Path) -> dict[Path, tuple[int, int]]:
    """Return the journals of shards in a directory, with index and number of shards."""
    found = {}
    for path in sorted(directory.glob("extract.*-of-*.jsonl")):
        match = _SHARD_NAME.fullmatch(path.name)
        if match:
            found[path] = int(match[1]), int(match[2])
    return found


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal as plain data, oldest first; truncated lines are skipped.

    Raises
    ------
    ExtractionError
        If the journal cannot be read.
    """
    try:
        with open_regular(path) as file:
            for line in file:
                yield from parse_line(line)
    except OSError as error:
        raise ExtractionError(f"{path}: cannot read the journal: {error.strerror}") from error


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings of the last run that wrote them into a journal; None if none did."""
    values = None
    with suppress(OSError), open_regular(path) as file:
        for line in file:
            if line.startswith(SETTINGS_START):
                with suppress(ValueError):
                    values = json.loads(line)["run_settings"]
    return values


def parse_line(line: bytes) -> Iterator[dict[str, Any]]:
    """Yield the record of a line, unless a kill truncated it or it is damaged."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    if (
        isinstance(record, dict)
        and {"source", "output", "status"} <= record.keys()
        and all(isinstance(record[name], _TYPES[name]) for name in record.keys() & _TYPES.keys())
        and record["status"] in _STATUSES
        # the sums and the times of `status` are floats
        and all(abs(value) < _MOST for value in record.values() if isinstance(value, (int, float)))
    ):
        yield record


def read_journal(path: Path) -> list[Outcome]:
    """Read the outcomes in a journal, oldest first; the last one of an output is valid.

    Raises
    ------
    ExtractionError
        If the journal cannot be read.
    """
    return [make_outcome(record, path.parent) for record in read_records(path)]


def read_latest(directory: Path) -> dict[str, dict[str, Any]]:
    """Read the last record of each output from all journals in a directory.

    The keys are the outputs relative to the directory.
    """
    latest: dict[str, dict[str, Any]] = {}
    for path in journal_paths(directory):
        for record in read_records(path):
            latest[record["output"]] = record
    return latest


def make_outcome(record: dict[str, Any], directory: Path) -> Outcome:
    """Build an outcome from a journal line; keys of other versions are ignored."""
    known = {name: value for name, value in record.items() if name in _NAMES}
    known["output"] = os.path.join(directory, record["output"])
    known["notes"] = tuple(record.get("notes", ()))
    return Outcome(**known)
