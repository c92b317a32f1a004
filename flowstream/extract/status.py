"""Progress of an extraction, from its journals."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowstream.disk import open_regular
from flowstream.errors import ExtractionError
from flowstream.extract.forecast import readable_bytes, readable_seconds
from flowstream.extract.jobs import find_extracted
from flowstream.extract.journal import (
    journal_paths,
    parse_line,
    relative_output,
    shard_journals,
)
from flowstream.extract.journal_lines import (
    Complete,
    Failures,
    find_missing,
    output_key,
    read_latest_lines,
)
from flowstream.locks import is_locked

# Long enough to average over long videos, short enough to follow a change of machines.
_RECENT_SECONDS = 3600.0
_KINDS_SHOWN = 8


@dataclass
class Status:
    """Numbers of an extraction.

    Parameters
    ----------
    directory : Path
    done, pairs, bytes : int
        Videos with a complete stack, their frame pairs and the bytes of their stacks.
    failures : dict
        Last journal record of each video that failed, by output.
    missing : int
        Stacks in the journal that are not on disk any more.
    remaining : int or None
        Videos without a stack that have not failed; None if the sources are not known.
    others : int
        Number of `done` whose videos are not among the sources.
    pairs_per_second, videos_per_second : float
        Speed during the last hour of work; 0 if it is not known.
    running : int
        Number of runs that hold a journal at the moment.
    """

    directory: Path
    done: int = 0
    pairs: int = 0
    bytes: int = 0
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: int = 0
    remaining: int | None = None
    others: int = 0
    pairs_per_second: float = 0.0
    videos_per_second: float = 0.0
    running: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Time until the last video, at the recent speed; None if it is not known."""
        if self.remaining == 0:
            return 0.0
        if self.remaining is None or not self.videos_per_second:
            return None
        return self.remaining / self.videos_per_second

    def reasons(self) -> Counter[str]:
        """Count the failures by reason."""
        return Counter(failure_reason(record) for record in self.failures.values())

    def record(self) -> dict[str, Any]:
        """Return all numbers as plain data."""
        return {
            "directory": str(self.directory),
            "done": self.done,
            "others": self.others,
            "missing": self.missing,
            "failed": len(self.failures),
            "reasons": dict(self.reasons().most_common()),
            "remaining": self.remaining,
            "pairs": self.pairs,
            "bytes": self.bytes,
            "pairs_per_second": round(self.pairs_per_second, 2),
            "seconds_left": self.seconds_left,
            "running": self.running,
        }

    def describe(self) -> str:
        """Return the numbers as a table."""
        others = f"; {self.others:,} of them are not in --source" if self.others else ""
        done = f"{self.done:,} videos, {self.pairs:,} pairs, {readable_bytes(self.bytes)}{others}"
        rows = [("done", done)]
        if self.missing:
            rows.append(("missing", f"{self.missing:,} stacks of the journal are not on disk"))
        rows.append(("failed", f"{len(self.failures):,} videos"))
        kinds = self.reasons().most_common()
        rows += [("", f"{count:>7,}  {reason}") for reason, count in kinds[:_KINDS_SHOWN]]
        if len(kinds) > _KINDS_SHOWN:
            rows.append(("", f"         and {len(kinds) - _KINDS_SHOWN} more reasons"))
        known = self.remaining is not None
        rows.append(
            ("remaining", f"{self.remaining:,} videos" if known else "unknown; give --source")
        )
        rows.append(("speed", f"{self.pairs_per_second:.1f} pairs/s"))
        if self.seconds_left:
            rows.append(("time left", f"about {readable_seconds(self.seconds_left)}"))
        rows.append(("running", f"{self.running} runs" if self.running else "no"))
        return "\n".join(f"{name:<11}{text}".rstrip() for name, text in rows)


def read_status(directory: Path, sources: Sequence[Path] = ()) -> Status:
    """Read the journals of an extraction.

    Parameters
    ----------
    directory : Path
        Output directory.
    sources : sequence of Path
        Videos of the extraction; without them, the remaining ones are not known.

    Raises
    ------
    ExtractionError
        If there is no journal.
    """
    paths = journal_paths(directory)
    if not paths:
        raise ExtractionError(
            f"{directory}: no journal extract.jsonl in this directory; expected the --out of "
            "'flowstream extract'"
        )
    complete: Complete = {}
    failures: Failures = {}
    for path in paths:
        read_latest_lines(path, complete, failures)
    missing = find_missing(directory, complete)
    for output in missing:
        del complete[output]
    status = Status(
        directory, missing=len(missing), failures={one["output"]: one for one in failures.values()}
    )
    status.done = len(complete)
    status.pairs = sum(int(pairs) for pairs, _ in complete.values())
    status.bytes = sum(int(size) for _, size in complete.values())
    _add_speed(status, paths)
    every = [directory / "extract.jsonl", *shard_journals(directory)]
    status.running = sum(is_locked(path) for path in every if path.exists())
    if sources:
        _compare(status, sources, complete)
    return status


def split_failure(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return the video that failed, with the name of its part, and the error without it."""
    source: str = record["source"]
    error: str = record.get("error", "")
    match = re.match(rf"({re.escape(source)}(?:@[^ :]+)?): (.*)", error, re.DOTALL)
    return (match[1], match[2]) if match else (source, error)


def failure_reason(record: Mapping[str, Any]) -> str:
    """Return why a video failed, without what is particular to it."""
    _, reason = split_failure(record)
    name = os.path.basename(record["output"])
    pieces = reason.split(";")[0].split(": ")
    paths = 0
    while paths < len(pieces) - 1 and (
        "/" in pieces[paths] or os.sep in pieces[paths] or name in pieces[paths]
    ):
        paths += 1  # a file that could not be read or written
    # "damaged: 25 of 50 frames ..." and the like differ in their numbers only.
    text = ": ".join(pieces[paths:]) if paths else pieces[0]
    return text[:70] or "unknown"


def _add_speed(status: Status, paths: Sequence[Path]) -> None:
    """Add up what was done in the last hour of work, by the times in the journals."""
    latest = max((path.stat().st_mtime for path in paths), default=time.time())
    recent = [
        record
        for path in paths
        for record in _tail(path)
        if record["status"] == "done"
        and record.get("modified", 0) / 1e9 >= latest - _RECENT_SECONDS
    ]
    if not recent:
        return
    first = min(record["modified"] / 1e9 - record.get("seconds", 0.0) for record in recent)
    seconds = max(1e-3, latest - first)
    status.pairs_per_second = sum(record.get("pairs", 0) for record in recent) / seconds
    status.videos_per_second = len(recent) / seconds


def _tail(path: Path, most: int = 1 << 22) -> list[dict[str, Any]]:
    """Return the records in the last bytes of a journal."""
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - most))
        lines = file.read().splitlines()[1 if size > most else 0 :]
    return [record for line in lines for record in parse_line(line)]


def _compare(status: Status, sources: Sequence[Path], complete: Complete) -> None:
    """Count the sources without a stack, and the stacks of other videos."""

    def exists(output: Path) -> bool:
        name = relative_output(output, status.directory)
        return output_key(name) in complete or name in status.failures

    jobs = find_extracted(sources, status.directory, exists=exists)
    outputs = {relative_output(job.output, status.directory) for job in jobs}
    unknown = [output for output in outputs if output_key(output) not in complete]
    status.remaining = sum(output not in status.failures for output in unknown)
    status.others = len(complete) - (len(outputs) - len(unknown))
