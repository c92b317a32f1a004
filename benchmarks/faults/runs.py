"""Runs of `flowstream extract` that are disturbed and then continued."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

COMMAND = (sys.executable, "-m", "flowstream")
OPTIONS = ("--method", "tvl1_opencv", "--jobs", "2", "--quiet")
CLIPS = 4
_LAUNCHED: list[subprocess.Popen[str]] = []
LIMIT = 120.0
"""Seconds for a run of about 3 on an idle machine."""


@dataclass(frozen=True)
class Ended:
    """End of a run."""

    code: int | None
    """Exit status; None if it had to be killed because it took too long."""
    errors: str
    """Text written to standard error."""

    @property
    def is_clean(self) -> bool:
        """True if it printed no traceback."""
        return "Traceback" not in self.errors

    def failure(self, what: str, *, codes: Collection[int] = (0, 1)) -> tuple[str, str] | None:
        """Return the outcome of a run that hung or crashed, and its description; otherwise None.

        A run that printed a traceback, or ended with another exit status than one of `codes`,
        crashed; `what` describes it.
        """
        if self.code is None:
            return "hung", what
        if not self.is_clean or self.code not in codes:
            return "crashed", f"{what}: exit {self.code}: {self.errors[-300:]}"
        return None


def write_clips(directory: Path, *, seed: int = 0) -> Path:
    """Write four short clips of 48x48 pixels into a new directory."""
    from flowstream import synthetic

    directory.mkdir(parents=True)
    for index in range(CLIPS):
        image = synthetic.texture((48, 48), seed=seed + index)
        frames = [np.roll(image, (step, 2 * step), (0, 1)) for step in range(9)]
        synthetic.write_video(directory / f"{index}.mp4", frames)
    return directory


def start(
    videos: Path,
    out: Path,
    *,
    path: str | None = None,
    largest_file: int | None = None,
    options: Sequence[str] = OPTIONS,
    prefix: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start an extraction; see `launch`."""
    arguments = ["extract", str(videos), "--out", str(out), *options]
    return launch(arguments, path=path, largest_file=largest_file, prefix=prefix)


def launch(
    arguments: Sequence[str],
    *,
    path: str | None = None,
    largest_file: int | None = None,
    prefix: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start a verb in a process group of its own.

    Parameters
    ----------
    arguments : strings
    path : str, optional
        Replaces the variable PATH.
    largest_file : int, optional
        Bound of the bytes of each file, as a full disk.
    prefix : strings
        Command that starts the verb in other surroundings.
    """

    def prepare() -> None:
        # What a shell starts in the background ignores interrupts, and so would its children.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    process = subprocess.Popen(
        [*prefix, *COMMAND, *arguments],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({} if path is None else {"PATH": path})},
        preexec_fn=prepare,
    )
    _LAUNCHED.append(process)
    return process


def stop_all() -> None:
    """Kill the groups of all verbs that were started and have not ended."""
    for process in _LAUNCHED:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    _LAUNCHED.clear()


def finish(process: subprocess.Popen[str], *, seconds: float = LIMIT) -> Ended:
    """Wait for a run; kill its group if it takes too long."""
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        return Ended(None, errors)
    return Ended(process.returncode, errors)


def read_digests(out: Path) -> dict[str, str]:
    """Return the digest of each stack below a directory; a damaged one has its error."""
    from flowstream.errors import StackError
    from flowstream.store import open_stack, verify_stack

    found = {}
    for path in sorted(out.rglob("*.h5")):
        try:
            verify_stack(path)
            with open_stack(path) as stack:
                found[str(path.relative_to(out))] = stack.digest
        except (StackError, OSError) as error:
            found[str(path.relative_to(out))] = str(error)
    return found


def judge_continued(videos: Path, out: Path, expected: dict[str, str]) -> tuple[str, str]:
    """Run the same command again and return the outcome and a description."""
    ended = finish(start(videos, out))
    if failure := ended.failure("the next run"):
        return failure
    if ended.code or read_digests(out) != expected:
        return "lost", f"after the next run (exit {ended.code}): {ended.errors[-300:]}"
    if list(out.rglob("*.part")):
        return "lost", "a .part file stays"
    return "harmless", "all stacks are those of an undisturbed run"


def undisturbed(scratch: Path) -> tuple[Path, dict[str, str], float]:
    """Return the clips, the digests that one run leaves, and its seconds."""

    videos = write_clips(scratch / "videos")
    began = time.monotonic()
    ended = finish(start(videos, scratch / "undisturbed"))
    if ended.code:
        raise RuntimeError(f"an undisturbed run failed: {ended.errors}")
    return videos, read_digests(scratch / "undisturbed"), time.monotonic() - began
