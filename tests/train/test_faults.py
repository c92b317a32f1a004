"""A signal, a full disk, too little shared memory: one line, and the run can be continued."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError
from flowstream.train import batches
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.clips import training_clips
from flowstream.train.fit import fit
from flowstream.train.recipe import StreamRecipe
from tests.stages.two_hues import write_two_hues

Recipes = Callable[..., StreamRecipe]

STREAM = """
[streams.temporal]
stream = "flow"
model = "early_fusion"
frames = 4
options = {{ backbone = "small_cnn", pretrained = false }}
size = 24
epochs = {epochs}
batch = 2
evaluation = {{ segments = 1, crops = 1 }}
"""


# Runs commands one after the other in one process, as importing torch takes seconds.
COMMANDS = """
import json, sys
from flowstream.cli import main
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as end:
        if end.code:
            raise
"""


def start(recipe: Path, *runs: list[str]) -> subprocess.Popen[str]:
    """Start training runs with these settings, one after the other."""
    commands = [["train", str(recipe), "--quiet", *settings] for settings in runs]
    return subprocess.Popen(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM handlers")
def test_a_batch_systems_signal_ends_training_cleanly_and_it_continues(tmp_path: Path) -> None:
    recipe = write_two_hues(tmp_path, STREAM.replace("{epochs}", "40"))
    process = start(recipe, [])
    last = tmp_path / "run" / "temporal" / "last.pt"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert last.exists(), process.communicate()[1]
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "Traceback" not in said
    assert "run the same command again to continue" in said
    assert not list(tmp_path.rglob("*.part"))
    done = load_checkpoint(last).epoch
    assert 1 <= done < 40

    other = ["--set", f"out='{tmp_path / 'whole'}'", "--set", f"stacks='{tmp_path}/run/stacks'"]
    process = start(recipe, [], other)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    whole = load_checkpoint(tmp_path / "whole" / "temporal" / "last.pt")
    assert whole.epoch == 40
    assert load_checkpoint(last).identity == whole.identity


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Limits the size of files that this process writes, as a full disk or a quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_line_and_the_previous_checkpoint_stays(
    split: Split, recipe: Recipes, tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    plain = recipe(epochs=3)
    fit(plain, split, tmp_path / "whole", device="cpu", progress=False)
    first = recipe(epochs=1)
    fit(first, split, tmp_path / "run", device="cpu", progress=False)
    before = (tmp_path / "run" / "last.pt").read_bytes()
    small_files(8192)  # the checkpoints have some 30 kB
    with pytest.raises(CheckpointError, match=r"(best|last)\.pt: cannot write the checkpoint: ."):
        fit(plain, split, tmp_path / "run", device="cpu", progress=False)
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))
    small_files(resource.RLIM_INFINITY)
    assert load_checkpoint(tmp_path / "run" / "last.pt").epoch == 1


def test_without_shared_memory_clips_are_read_without_workers(
    split: Split,
    recipe: Recipes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain, cpu = recipe(workers=2), torch.device("cpu")
    clips = training_clips(plain, split.train)
    assert batches.choose_workers(plain, clips, cpu) == 2
    monkeypatch.setattr(batches, "SHARED_MEMORY", tmp_path / "nothing")
    assert batches.choose_workers(plain, clips, cpu) == 0
    assert "without workers" in capsys.readouterr().err
    assert batches.choose_workers(recipe(workers=None), clips, cpu) == 0
    assert capsys.readouterr().err == ""
