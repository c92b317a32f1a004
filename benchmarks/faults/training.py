"""Trainings that are killed, stopped or run out of disk, and then continued."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.faults.disks import fill, small_disk
from benchmarks.faults.runs import finish, launch
from benchmarks.faults.tally import Budget, Tally

_RECIPE = """
out = "{directory}/undisturbed"
stacks = "{directory}/stacks"
[extract]
sources = ["{directory}/videos/manifest.csv"]
method = "farneback"
[split]
layout = "manifest"
files = "{directory}/videos/manifest.csv"
[streams.temporal]
stream = "flow"
model = "early_fusion"
frames = 4
options = {{ backbone = "small_cnn", pretrained = false }}
size = 24
epochs = 40
batch = 2
optimiser = "adamw"
learning_rate = 1e-3
ema = 0.9
evaluation = {{ segments = 1, crops = 1 }}
"""

# The signals that are sent, whether to the whole group, and the exit code.
_SIGNALS: dict[str, tuple[signal.Signals, bool, int]] = {
    "SIGKILL to the group": (signal.SIGKILL, True, -9),
    "SIGKILL": (signal.SIGKILL, False, -9),
    "SIGTERM": (signal.SIGTERM, False, 143),
    "SIGINT": (signal.SIGINT, True, 130),
}
_FULL_DISK = "full disk"
_STOP_SECONDS = 5.0


def run(budget: Budget) -> Tally:
    """Disturb a training at a random moment and run the same command again."""
    tally = budget.tally("training")
    generator = budget.generator()
    recipe = write_recipe(budget.scratch)
    began = time.monotonic()
    ended = finish(_start(recipe, budget.scratch / "undisturbed"))
    if ended.code:
        raise RuntimeError(f"an undisturbed training failed: {ended.errors}")
    seconds = time.monotonic() - began
    expected = read_results(budget.scratch / "undisturbed")
    kinds = [*_SIGNALS, _FULL_DISK]
    while not budget.is_spent(tally.tried):
        kind = kinds[tally.tried % len(kinds)]
        # Importing takes half of the time, and cannot lose anything.
        delay = float(generator.uniform(0.2, 1.0)) * seconds
        out = budget.scratch / f"out{tally.tried}"
        disturb = _fill_disk if kind == _FULL_DISK else _send_signal
        outcome, detail = disturb(recipe, out, kind, delay, expected)
        tally.add(outcome, f"{kind} after {delay:.2f} s: {detail}")
    return tally


def write_recipe(directory: Path) -> Path:
    """Write the videos of two classes and a recipe for them."""
    from flowstream.synthetic import write_action_set

    counts = {"appearances": 2, "motions": 1, "train": 2, "validation": 1, "test": 1}
    write_action_set(directory / "videos", **counts, size=(32, 32), frames=6)
    path = directory / "recipe.toml"
    path.write_text(_RECIPE.format(directory=directory.as_posix()), encoding="utf-8")
    return path


def read_results(out: Path) -> dict[str, str]:
    """Return what a training leaves: the identity of its checkpoints, and its scores."""
    from flowstream.errors import FlowstreamError
    from flowstream.scores import read_scores
    from flowstream.train.checkpoint import load_checkpoint

    found = {}
    try:
        for name in ("best.pt", "last.pt"):
            checkpoint = load_checkpoint(out / "temporal" / name)
            found[name] = f"{checkpoint.epoch} epochs, {checkpoint.identity}"
        found["scores"] = read_scores(out / "temporal" / "scores.npz").scores.tobytes().hex()
    except FlowstreamError as error:
        found["error"] = str(error)
    return found


def _start(recipe: Path, out: Path) -> subprocess.Popen[str]:
    return launch(["train", str(recipe), "--quiet", "--set", f"out='{out}'"])


def _send_signal(
    recipe: Path, out: Path, kind: str, delay: float, expected: dict[str, str]
) -> tuple[str, str]:
    number, to_group, code = _SIGNALS[kind]
    process = _start(recipe, out)
    time.sleep(delay)
    with suppress(ProcessLookupError):
        (os.killpg if to_group else os.kill)(process.pid, number)
    ended = finish(process, seconds=4 * _STOP_SECONDS)
    # A signal before Python listens ends the process by the signal itself.
    if failure := ended.failure("after the signal", codes=(0, code, -number)):
        return failure
    if number != signal.SIGKILL and list(out.rglob("*.part")):
        return "lost", "a .part file stays"
    return _continue(recipe, out, expected)


def _fill_disk(
    recipe: Path, out: Path, kind: str, delay: float, expected: dict[str, str]
) -> tuple[str, str]:
    with small_disk(out, 8 << 20) as is_mounted:
        if not is_mounted:
            return "harmless", "not tried: this system lets nobody mount a small disk"
        process = _start(recipe, out)
        time.sleep(delay)
        filler = fill(out)
        ended = finish(process)
        filler.unlink()
        what = "the training on the full disk"
        if failure := ended.failure(what):
            return failure
        if len(ended.errors.splitlines()) > 1:
            return "crashed", f"{what}: {ended.errors[-300:]}"
        return _continue(recipe, out, expected)


def _continue(recipe: Path, out: Path, expected: dict[str, str]) -> tuple[str, str]:
    ended = finish(_start(recipe, out))
    if failure := ended.failure("the next run"):
        return failure
    found = read_results(out)
    if ended.code or found != expected:
        different = [name for name in expected if found.get(name) != expected[name]]
        return "lost", f"after the next run: {', '.join(different)} differ; {ended.errors[-300:]}"
    if list(out.rglob("*.part")):
        return "lost", "a .part file stays"
    return "harmless", "checkpoints and scores are those of an undisturbed training"
