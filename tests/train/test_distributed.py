"""Two processes train and score as one does with batches of twice the size."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.plugins import provenance
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.distributed import Processes, ShuffledOrder
from flowstream.train.fit import fit
from flowstream.train.predict import predict
from flowstream.train.recipe import StreamRecipe

Recipes = Callable[..., StreamRecipe]

PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from flowstream.dataset.split import Sample, Split
from flowstream.recipe import build
from flowstream.train.fit import fit
from flowstream.train.predict import predict
from flowstream.train.recipe import StreamRecipe

values = json.loads(Path(sys.argv[1]).read_text())
parts = {
    name: tuple(Sample(v, label, group, Path(path)) for v, label, group, path in rows)
    for name, rows in values["split"].items()
}
split = Split(("across", "down"), **parts)
out = Path(values["out"])
best = fit(build(StreamRecipe, values["recipe"], where="recipe"), split, out, device="cpu",
           progress=False)
scores = predict(best, split, "test", device="cpu", progress=False)
import torch.distributed
np.save(out / f"scores-{torch.distributed.get_rank()}.npy", scores.scores)
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize(("length", "count"), [(12, 2), (7, 2), (5, 3), (4, 1)])
def test_processes_share_the_order_of_one(length: int, count: int) -> None:
    alone = list(ShuffledOrder(length, Processes(), seed=4))
    assert sorted(alone) == list(range(length))
    shared = [list(ShuffledOrder(length, Processes(rank, count), seed=4)) for rank in range(count)]
    assert len({len(part) for part in shared}) == 1
    joined = [index for step in zip(*shared, strict=True) for index in step]
    assert joined[:length] == alone
    assert joined[length:] == alone[: len(joined) - length]


def run_in_two_processes(directory: Path) -> None:
    """Run the program of a directory, with the variables that torchrun sets.

    Torchrun itself would import torch a third time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "program.py", "values.json"],
            cwd=directory,
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors


@pytest.mark.long
def test_two_processes_give_the_weights_and_scores_of_one_with_the_double_batch(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    # no batch norm: its statistics are those of a process
    options = {"backbone": "tiny_cnn", "pretrained": False, "dropout": 0.0}
    alone = recipe(
        "flow",
        options=options,
        epochs=1,
        optimiser="sgd",
        batch=4,
        clip_gradient=None,
        learning_rate=0.1,
    )
    best = fit(alone, split, tmp_path / "alone", device="cpu", progress=False)
    expected = predict(best, split, "test", device="cpu", progress=False)

    values: dict[str, Any] = {
        "out": str(tmp_path / "shared"),
        "recipe": {**provenance(replace(alone, batch=2)), "workers": 0},
        "split": {
            part: [[one.video, one.label, one.group, str(one.path)] for one in getattr(split, part)]
            for part in ("train", "validation", "test")
        },
    }
    values["recipe"]["evaluation"] = provenance(alone.evaluation)
    (tmp_path / "values.json").write_text(json.dumps(values))
    (tmp_path / "program.py").write_text(PROGRAM)
    run_in_two_processes(tmp_path)
    one = load_checkpoint(tmp_path / "alone" / "last.pt").weights
    two = load_checkpoint(tmp_path / "shared" / "last.pt").weights
    moved = 0.0
    torch.manual_seed(alone.seed)
    start = alone.architecture.build(alone.clip, 2).state_dict()
    for name, value in one.items():
        # sums of float32 in another order; 1e-5 of weights of size 0.1
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=name)
        moved = max(moved, float((value - start[name]).abs().max()))
    assert moved > 1e-3  # else nothing was learnt, and nothing compared
    for rank in range(2):
        scores = np.load(tmp_path / "shared" / f"scores-{rank}.npy")
        np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
