"""Disks that fill up, are lost or become read-only during an extraction, and shared memory."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.faults.runs import OPTIONS, Ended, finish, judge_continued, start, undisturbed
from benchmarks.faults.tally import Budget, Tally

_KINDS = ("fills up", "is full from a moment on", "becomes read-only", "directory is removed")


def run(budget: Budget) -> Tally:
    """Disturb the disk of the stacks, make it good again and run the same command again.

    After one round of these, extraction without shared memory is tried once with each backend.
    """
    tally = budget.tally("disks")
    generator = budget.generator()
    videos, expected, seconds = undisturbed(budget.scratch)
    largest = max(path.stat().st_size for path in (budget.scratch / "undisturbed").glob("*.h5"))
    while not budget.is_spent(tally.tried):
        kind = _KINDS[tally.tried % len(_KINDS)]
        size = int(generator.integers(4096, 2 * largest))
        delay = float(generator.uniform(0.1, 1.0)) * seconds
        out = budget.scratch / f"out{tally.tried}"
        failure = _disturb(kind, videos, out, size=size, delay=delay).failure("the run")
        outcome, detail = failure or judge_continued(videos, out, expected)
        if os.path.ismount(out):
            subprocess.run(["umount", str(out)], check=True)
        tally.add(outcome, f"{kind} ({size} bytes, {delay:.2f} s): {detail}")
        if tally.tried == len(_KINDS):
            for what, judged in _without_shared_memory(budget, videos, expected):
                tally.add(judged[0], f"{what}: {judged[1]}")
                if budget.is_spent(tally.tried):
                    break
    return tally


def _disturb(kind: str, videos: Path, out: Path, *, size: int, delay: float) -> Ended:
    """Run an extraction on a bad disk, and repair the disk."""
    out.mkdir()
    small = kind == "fills up"
    removed = kind == "directory is removed"
    is_mounted = not removed and _mount(f"size={size}" if small else "size=64m", out)
    if not is_mounted:
        process = start(videos, out, largest_file=size if small else None)
        if removed:
            time.sleep(delay)
            shutil.rmtree(out, ignore_errors=True)
        ended = finish(process)
    elif small:
        ended = finish(start(videos, out))
    else:
        process = start(videos, out)
        time.sleep(delay)
        if kind == "becomes read-only":
            _mount("remount,ro", out)  # refused while files are open for writing
        else:
            fill(out)
        ended = finish(process)
    if is_mounted and os.path.ismount(out):
        _mount("remount,rw,size=64m", out)
        (out / "filler").unlink(missing_ok=True)
    return ended


def _without_shared_memory(
    budget: Budget, videos: Path, expected: dict[str, str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Extract with each backend where /dev/shm is read-only, or holds next to nothing."""
    backends = ["processes", "sequential"]
    backends += [name for name in ("dask", "ray") if importlib.util.find_spec(name)]
    for options in ("ro", "size=4k"):
        prefix = ["unshare", "--mount", "sh", "-c"]
        prefix += [f'mount -t tmpfs -o {options} tmpfs /dev/shm && exec "$@"', "sh"]
        tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
        if tried.returncode:
            return
        for backend in backends:
            out = budget.scratch / f"{backend}-{options.partition('=')[0]}"
            ended = finish(
                start(videos, out, options=[*OPTIONS, "--backend", backend], prefix=prefix)
            )
            outcome = ended.failure("the run")
            if outcome is None:
                outcome = judge_continued(videos, out, expected)
                if ended.code == 1:
                    outcome = "detected", ended.errors
            yield f"{backend} with /dev/shm {options}", outcome


def fill(directory: Path) -> Path:
    """Use up the disk of a directory; return the file to remove afterwards."""
    filler = directory / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


@contextmanager
def small_disk(out: Path, size: int) -> Iterator[bool]:
    """Mount a tmpfs of `size` bytes on a new directory where that is allowed."""
    out.mkdir()
    is_mounted = _mount(f"size={size}", out)
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(out)], check=True)


def unmount_below(directory: Path) -> None:
    """Unmount the small disks that a campaign left mounted because it was cut."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        place = line.split()[1]
        if place.startswith(f"{directory}/"):
            subprocess.run(["umount", "--lazy", place], check=False)


def _mount(options: str, out: Path) -> bool:
    if not hasattr(os, "geteuid") or os.geteuid():
        return False
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(out)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
