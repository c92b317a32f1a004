"""Extractions that are killed or asked to stop at any moment, and then continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from benchmarks.faults.runs import Ended, finish, judge_continued, start, undisturbed
from benchmarks.faults.tally import Budget, Tally

# Directory of Python alone: pgrep is not on such a PATH, as in slim containers.
_BARE_PATH = str(Path(sys.executable).parent)
_STOP_SECONDS = 5.0
_SIGNALS = {
    "SIGINT": ((signal.SIGINT,), 130),
    "SIGINT twice within 0.1 s": ((signal.SIGINT, signal.SIGINT), 130),
    "SIGTERM": ((signal.SIGTERM,), 143),
    "SIGHUP": ((signal.SIGHUP,), 129),
    "SIGQUIT": ((signal.SIGQUIT,), 131),
    "SIGUSR1": ((signal.SIGUSR1,), 138),
}


def run_kills(budget: Budget) -> Tally:
    """Kill the whole group, the run alone, or one worker, with and without pgrep."""
    tally = budget.tally("kills")
    generator = budget.generator()
    videos, expected, seconds = undisturbed(budget.scratch)
    kinds = [(who, path) for who in ("group", "run", "worker") for path in (None, _BARE_PATH)]
    while not budget.is_spent(tally.tried):
        who, path = kinds[tally.tried % len(kinds)]
        out = budget.scratch / f"out{tally.tried}"
        process = start(videos, out, path=path)
        delay = float(generator.uniform(0.1, 1.1 * seconds))
        time.sleep(delay)
        _kill(process, who, generator)
        what = f"{who} killed after {delay:.2f} s{', no pgrep' if path else ''}"
        ended = finish(process)
        outcome, detail = judge_continued(videos, out, expected)
        if ended.code is None:
            outcome, detail = "hung", "the disturbed run"
        elif who == "worker" and not ended.is_clean:
            outcome, detail = "crashed", ended.errors[-300:]
        tally.add(outcome, f"{what}: {detail}")
    return tally


def run_signals(budget: Budget) -> Tally:
    """Send signals: the command must end within 5 s, without a part file or a worker left."""
    tally = budget.tally("signals")
    generator = budget.generator()
    videos, expected, seconds = undisturbed(budget.scratch)
    while not budget.is_spent(tally.tried):
        name = [*_SIGNALS][tally.tried % len(_SIGNALS)]
        out = budget.scratch / f"out{tally.tried}"
        process = start(videos, out)
        delay = float(generator.uniform(0.1, 1.1 * seconds))
        time.sleep(delay)
        workers = _workers(process)
        signals, code = _SIGNALS[name]
        for number in signals:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            time.sleep(0.05)
        ended = finish(process, seconds=4 * _STOP_SECONDS)
        failure = _failure(ended, out, code, workers)
        outcome, detail = failure or judge_continued(videos, out, expected)
        tally.add(outcome, f"{name} after {delay:.2f} s: {detail}")
    return tally


def _failure(
    ended: Ended, out: Path, code: int, workers: list[psutil.Process]
) -> tuple[str, str] | None:
    # A signal before Python listens ends the process by the signal itself.
    if failure := ended.failure("the run", codes=(0, code, code - 128, 128 - code)):
        return failure
    _, alive = psutil.wait_procs(workers, timeout=_STOP_SECONDS)
    if alive:
        return "hung", f"{len(alive)} workers are left"
    if list(out.rglob("*.part")):
        return "lost", "a .part file stays"
    return None


def _kill(process: subprocess.Popen[str], who: str, generator: np.random.Generator) -> None:
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if who == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif who == "run":
            os.kill(process.pid, signal.SIGKILL)
        elif workers := _workers(process):
            workers[int(generator.integers(len(workers)))].kill()


def _workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return list(psutil.Process(process.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []
