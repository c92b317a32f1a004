"""Disks that fill up during an extraction: a small tmpfs for root, a bound on files otherwise."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.runs import Ended, finish, judge_continued, start, undisturbed
from benchmarks.faults.tally import Budget, Tally


def run(budget: Budget) -> Tally:
    """Fill the disk at a random size; then give room and run again."""
    tally = Tally("disks")
    generator = budget.generator()
    videos, expected, _ = undisturbed(budget.scratch)
    largest = max(path.stat().st_size for path in (budget.scratch / "undisturbed").glob("*.h5"))
    while not budget.is_spent(tally.tried):
        size = int(generator.integers(4096, 2 * largest))
        out = budget.scratch / f"out{tally.tried}"
        with _small_disk(out, size) as is_mounted:
            bound = None if is_mounted else size
            ended = finish(start(videos, out, largest_file=bound))
            if is_mounted:
                _mount("remount,size=64m", out)
            outcome, detail = _judge(ended)
            if outcome == "detected":
                outcome, detail = judge_continued(videos, out, expected)
        kind = "tmpfs" if is_mounted else "files"
        tally.add(outcome, f"{kind} of at most {size} bytes: {detail}")
    return tally


def _judge(ended: Ended) -> tuple[str, str]:
    if ended.code is None:
        return "hung", "the run on the full disk"
    if not ended.is_clean or ended.code not in (0, 1):
        return "crashed", f"exit {ended.code}: {ended.errors[-300:]}"
    return "detected", "refused"


@contextmanager
def _small_disk(out: Path, size: int) -> Iterator[bool]:
    """Mount a tmpfs of `size` bytes on a new directory where that is allowed."""
    out.mkdir()
    is_mounted = hasattr(os, "geteuid") and os.geteuid() == 0 and _mount(f"size={size}", out)
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(out)], check=True)


def _mount(options: str, out: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(out)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
