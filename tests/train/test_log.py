"""The record of a run: its log, its best epoch, and what was trained."""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.fit import fit
from flowstream.train.log import Epoch, Log, is_best
from flowstream.train.recipe import StreamRecipe
from tests.train.test_fit import history, train

Recipes = Callable[..., StreamRecipe]


def test_the_log_has_a_row_an_epoch(split: Split, recipe: Recipes, tmp_path: Path) -> None:
    last = train(recipe(epochs=3, validate_every=2), split, tmp_path)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["validation_top1"] != "" for row in rows] == [False, True, True]
    assert float(rows[2]["train_loss"]) == history(last)[2]["train_loss"]
    assert list((tmp_path / "tensorboard").iterdir())


def test_events_that_cannot_be_written_give_one_error_and_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path, done=0)
    log._events.flush()  # until then, its thread makes files in the directory
    shutil.rmtree(tmp_path / "tensorboard")
    epoch = Epoch(1, 0.1, 1.0, 0.5, 2.0, 0.25, 1.0)
    with pytest.raises(OSError, match="No such file"):
        log.write([epoch])
    with contextlib.suppress(OSError):
        log.close()
    assert capfd.readouterr().err == ""


def test_without_validation_the_last_epoch_is_the_best(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    best = fit(
        recipe(epochs=2), replace(split, validation=()), tmp_path, device="cpu", progress=False
    )
    assert load_checkpoint(best).epoch == 2


def test_training_the_head_alone_leaves_the_rest(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    head_only = recipe(epochs=1, layers="head")
    torch.manual_seed(head_only.seed)
    before = head_only.architecture.build(head_only.clip, 2).state_dict()
    after = train(head_only, split, tmp_path).weights
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"network.fc.1.weight", "network.fc.1.bias"}


def test_a_row_of_the_log_holds_what_its_epoch_measured() -> None:
    epoch = Epoch(1, 0.1, 1.0, 0.5, 2.0, 0.25, 1.0)
    assert Epoch(**asdict(epoch)) == epoch
    assert epoch.summary() == "loss 1.000, validation 2.000, top-1 0.250"


def test_an_epoch_without_validation_is_never_the_best_of_some_with() -> None:
    with_validation = Epoch(1, 0.1, 1.0, 0.5, 2.0, 0.1, 1.0)
    without = replace(with_validation, epoch=2, validation_loss=None, validation_top1=None)
    assert is_best([with_validation])
    assert not is_best([with_validation, without])
