"""Several datasets, a head for each: the loss, the checkpoint, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.errors import ParameterError, RecipeError
from flowstream.train import TRAINERS
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.heads import keep_first_head, mask_other_heads
from flowstream.train.multi_task import JOINT, join_splits
from flowstream.train.predict import predict
from flowstream.train.recipe import StreamRecipe

Recipes = Callable[..., StreamRecipe]


def test_the_loss_of_a_video_depends_on_its_own_head_alone() -> None:
    scores = torch.randn(2, 5, requires_grad=True)
    labels = torch.tensor([1, 4])
    masked = mask_other_heads(scores, labels, (2, 3))
    losses = torch.nn.functional.cross_entropy(masked, labels, reduction="none")
    first = torch.nn.functional.cross_entropy(scores[:1, :2], labels[:1])
    second = torch.nn.functional.cross_entropy(scores[1:, 2:], labels[1:] - 2)
    torch.testing.assert_close(losses, torch.stack([first, second]))
    torch.autograd.backward(losses.sum())
    assert scores.grad is not None
    assert scores.grad[0, 2:].abs().max() == 0
    assert scores.grad[1, :2].abs().max() == 0
    assert mask_other_heads(scores, labels, ()) is scores


def test_validation_looks_at_the_first_head() -> None:
    rows = np.array([[0.1, 0.3, 0.6], [0.2, 0.0, 0.8]], np.float32)
    np.testing.assert_allclose(
        keep_first_head(rows, (2, 1)), np.array([[0.25, 0.75], [1, 0]]), atol=1e-6
    )


def test_the_checkpoint_has_the_own_classes_and_shared_layers(
    split: Split, recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(split, classes=("left", "right"), validation=(), test=())
    monkeypatch.setattr("flowstream.dataset.read_split", lambda *_: other)
    table = {"stacks": "elsewhere", "split": {"layout": "folder"}}
    both = recipe("flow", epochs=4, trainer="multi_task", trainer_options={"others": [table]})
    from flowstream.recipe import build

    trainer = build(TRAINERS["multi_task"], both.trainer_options, where="trainer_options")
    options = {"cache": tmp_path, "device": "cpu", "progress": False}
    best = trainer.fit(both, split, tmp_path / "run", **options)  # type: ignore[arg-type]
    own, joint = load_checkpoint(best), load_checkpoint(tmp_path / "run" / JOINT / "best.pt")
    assert own.classes == split.classes
    assert joint.classes == (*split.classes, "2/left", "2/right")
    for name, value in own.weights.items():
        rows = joint.weights[name]
        assert torch.equal(value, rows[: len(value)] if value.ndim else rows)
    scores = predict(best, split, "test", device="cpu", progress=False)
    assert scores.scores.shape == (8, 2)
    last = load_checkpoint(tmp_path / "run" / JOINT / "last.pt")
    assert last.resume is not None
    losses = [epoch["train_loss"] for epoch in last.resume["history"]]
    assert losses[-1] < losses[0]
    identity = own.identity
    again = trainer.fit(both, split, tmp_path / "run", **options)  # type: ignore[arg-type]
    assert load_checkpoint(again).identity == identity


def test_videos_of_the_other_dataset_are_told_apart(split: Split) -> None:
    joint = join_splits(split, [split, split])
    assert joint.heads == (2, 2, 2)
    assert len({sample.video for sample in joint.train}) == 3 * len(split.train)
    assert max(sample.label for sample in joint.train) == 5
    assert joint.test == split.test


def test_what_has_no_heads_is_refused(recipe: Recipes) -> None:
    table = {"stacks": "elsewhere", "split": {"layout": "folder"}}
    options = {"trainer": "multi_task", "trainer_options": {"others": [table]}}
    with pytest.raises(ParameterError, match="label_smoothing"):
        recipe("flow", label_smoothing=0.1, **options)
    with pytest.raises((ParameterError, RecipeError), match="others"):
        recipe("flow", trainer="multi_task", trainer_options={"others": []})
