"""The output directory of a run: locked, with its journal, shared by shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flowstream.errors import ExtractionError, ParameterError
from flowstream.extract.journal import (
    JOURNAL_NAME,
    SETTINGS_START,
    Journal,
    shard_journal,
    shard_journals,
)
from flowstream.locks import FileLock, is_locked

# Workers of a killed run end within milliseconds, and shards hold the common journal as briefly.
PATIENCE_SECONDS = 2.0
_MERGE_SECONDS = 3.0


@dataclass(frozen=True)
class Shard:
    """One of several disjoint parts of a batch.

    Parameters
    ----------
    index : int
        1 to `count`.
    count : int
        Number of shards.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ParameterError(
                f"shard: expected I/N with I from 1 to N, got {self.index}/{self.count}"
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True)
class HeldDirectory:
    """Output directory of a run that holds its lock.

    Parameters
    ----------
    journal : Journal
    descriptor : int
        The lock, for worker processes to inherit.
    """

    journal: Journal
    descriptor: int


@contextmanager
def hold_directory(directory: Path, shard: Shard | None = None) -> Iterator[HeldDirectory]:
    """Make and lock the output directory for one run, or for one shard of it.

    Shards have a journal of their own each, which is added to the common one at the end.

    Raises
    ------
    ExtractionError
        If another run or the same shard writes into the directory, or it cannot be written.
    """
    own = directory / JOURNAL_NAME
    if shard is not None:
        own = shard_journal(directory, shard.index, shard.count)
    lock = FileLock(own)
    try:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not lock.acquire(patience=PATIENCE_SECONDS):
                raise _busy(directory)
        except OSError as error:
            raise ExtractionError(
                f"{directory}: cannot write into this directory: {error.strerror}"
            ) from error
        _check_others(directory, own, shard)
        if shard is None:
            _merge_all(directory)
        yield HeldDirectory(Journal(own), lock.descriptor)
    finally:
        if shard is not None and lock.descriptor >= 0:
            with suppress(OSError):
                _merge(directory, own, shard)
        lock.release()


def make_directory(path: Path) -> None:
    """Make a directory and those above it.

    Raises
    ------
    ExtractionError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExtractionError(f"{path}: cannot make this directory: {error.strerror}") from error


def _check_others(directory: Path, own: Path, shard: Shard | None) -> None:
    """Raise if a run with other jobs writes into the directory."""
    if shard is not None:
        main = FileLock(directory / JOURNAL_NAME)
        if not main.acquire(patience=PATIENCE_SECONDS):
            raise _busy(directory)
        main.release()
    for path, (index, count) in shard_journals(directory).items():
        if path != own and (shard is None or count != shard.count) and is_locked(path):
            raise _busy(directory, f" (shard {index}/{count})")


def _busy(directory: Path, which: str = "") -> ExtractionError:
    return ExtractionError(
        f"{directory}: another extraction{which} is writing into this directory; "
        "wait until it ends, or use another directory"
    )


def _merge_all(directory: Path) -> None:
    """Add the journals that killed shards left to the common one, which this run has locked."""
    for path in shard_journals(directory):
        with suppress(OSError):
            _move_lines(path, directory / JOURNAL_NAME)


def _merge(directory: Path, own: Path, shard: Shard) -> None:
    """Add a shard's journal to the common one; if that stays locked, keep both.

    Journals that killed shards of another count left are added as well.
    """
    main = FileLock(directory / JOURNAL_NAME)
    try:
        if main.acquire(patience=_MERGE_SECONDS):
            _move_lines(own, main.path)
            for path, (_, count) in shard_journals(directory).items():
                if count != shard.count and not is_locked(path):
                    _move_lines(path, main.path)
    finally:
        main.release()


def _move_lines(source: Path, target: Path) -> None:
    """Append the outcomes of a journal to another one and remove it; repeated lines do no harm."""
    with source.open("rb") as journal:
        lines = b"".join(line for line in journal if not line.startswith(SETTINGS_START))
    if lines and not lines.endswith(b"\n"):
        lines += b"\n"
    Journal(target)  # ends a truncated line
    with target.open("ab") as file:
        file.write(lines)
    source.unlink()
