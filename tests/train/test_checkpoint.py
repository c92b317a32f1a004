"""Checkpoints: bound to their flow, never trusted, never half written."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from flowstream.errors import CheckpointError
from flowstream.store import FlowSpec
from flowstream.train.checkpoint import (
    Checkpoint,
    check_spec,
    load_checkpoint,
    save_checkpoint,
)
from flowstream.train.checkpoint_file import compute_digest
from flowstream.train.recipe import StreamRecipe

Recipes = Callable[..., StreamRecipe]

SPEC = FlowSpec(
    method={"name": "dis", "preset": "medium"},
    sampling={"short_side": 128},
    size=(128, 170),
    codec={"name": "centred8", "bound": 20.0},
)


@pytest.fixture
def checkpoint(recipe: Recipes) -> Checkpoint:
    flow = recipe("flow")
    model = flow.architecture.build(flow.clip, 2)
    return Checkpoint(
        recipe=flow,
        classes=("across", "down"),
        spec=SPEC,
        weights=model.state_dict(),
        epoch=3,
        measures={"validation_top1": 0.5, "validation_loss": None},
    )


def edit(path: Path, changes: Mapping[str, Any], *, without: str | None = None) -> None:
    """Edit a checkpoint and give it a digest that matches."""
    content = torch.load(path, weights_only=True)
    content.update(changes)
    for key in ("digest", without):
        content.pop(key, None)
    content["digest"] = compute_digest(content)
    torch.save(content, path)


def test_a_saved_checkpoint_is_loaded_unchanged(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    loaded = load_checkpoint(tmp_path / "a.pt")
    for name in ("recipe", "classes", "spec", "epoch", "measures", "resume", "identity"):
        assert getattr(loaded, name) == getattr(checkpoint, name), name
    batch = torch.randn(2, *checkpoint.recipe.clip.lengths)
    assert torch.equal(loaded.network()(batch), checkpoint.network()(batch))


def test_a_pretrained_network_comes_back_without_its_first_weights(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint
) -> None:
    options = {"backbone": "efficientnet_lite0", "pretrained": True}
    flow = recipe("flow", options=options, size=32)
    model = flow.architecture.build(flow.clip, 2).eval()
    saved = replace(checkpoint, recipe=flow, weights=model.state_dict())
    save_checkpoint(tmp_path / "a.pt", saved)
    loaded = load_checkpoint(tmp_path / "a.pt")
    monkeypatch.setattr(torch, "load", None)  # nothing else is read
    batch = torch.randn(2, *flow.clip.lengths)
    assert torch.equal(loaded.network()(batch), model(batch))


def test_the_identity_depends_on_weights_recipe_classes_and_flow(checkpoint: Checkpoint) -> None:
    weights = {name: value + 1 for name, value in checkpoint.weights.items()}
    others = [
        replace(checkpoint, weights=weights),
        replace(checkpoint, recipe=replace(checkpoint.recipe, seed=1)),
        replace(checkpoint, classes=("down", "across")),
        replace(checkpoint, spec=replace(SPEC, size=(64, 64))),
    ]
    assert len({checkpoint.identity, *(other.identity for other in others)}) == 5
    assert replace(checkpoint, epoch=9).identity == checkpoint.identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": {"name": "tvl1"}}, "method.name: stacks: 'tvl1', training: 'dis'"),
        (
            {"codec": {"name": "centred8", "bound": 15.0}},
            "codec.bound: stacks: 15.0, training: 20.0",
        ),
        ({"sampling": {"short_side": 64}}, "sampling.short_side: stacks: 64, training: 128"),
        ({"size": (128, 128)}, "size"),
    ],
)
def test_other_flow_is_refused_with_what_differs(
    checkpoint: Checkpoint, change: dict[str, Any], message: str
) -> None:
    check_spec(checkpoint, SPEC)
    with pytest.raises(CheckpointError, match=message):
        check_spec(checkpoint, replace(SPEC, **change))


def test_an_rgb_stream_does_not_mind_the_flow_between_its_frames(
    checkpoint: Checkpoint, recipe: Recipes
) -> None:
    rgb = replace(checkpoint, recipe=recipe("rgb"))
    check_spec(rgb, replace(SPEC, method={"name": "tvl1"}, codec={"name": "float16"}))
    with pytest.raises(CheckpointError, match=r"sampling.short_side"):
        check_spec(rgb, replace(SPEC, sampling={"short_side": 64}))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read the checkpoint: No such file"):
        load_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize("content", [b"", b"hello, this is text\n", b"PK\x03\x04"])
def test_a_file_that_is_not_a_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_checkpoint_that_was_cut_off_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, kept: float
) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, checkpoint)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CheckpointError, match="truncated"):
        load_checkpoint(path)


def test_weights_of_other_programs_are_refused(tmp_path: Path) -> None:
    for name, value in (("dict", {"state_dict": {}}), ("tensor", torch.zeros(3))):
        torch.save(value, tmp_path / f"{name}.pt")
        with pytest.raises(CheckpointError, match="not a flowstream checkpoint"):
            load_checkpoint(tmp_path / f"{name}.pt")


def test_a_newer_format_is_refused_with_the_way_out(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    edit(tmp_path / "a.pt", {"format_version": 3})
    with pytest.raises(CheckpointError, match=r"format version 3, expected 2.*upgrade flowstream"):
        load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("key", ["recipe", "classes", "spec", "weights", "epoch", "measures"])
def test_a_checkpoint_that_lacks_something_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, key: str
) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    edit(tmp_path / "a.pt", {}, without=key)
    with pytest.raises(CheckpointError, match=f"lacks '{key}'"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_recipe_that_this_version_does_not_know_is_refused(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    edit(tmp_path / "a.pt", {"recipe": {**content["recipe"], "distance": 3}})
    with pytest.raises(CheckpointError, match="distance: unknown key"):
        load_checkpoint(tmp_path / "a.pt")


def test_weights_of_another_network_are_refused(checkpoint: Checkpoint) -> None:
    other = replace(checkpoint, weights={"network.conv9.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="weights do not fit model 'early_fusion'"):
        other.network()


class Attack:
    """Would make a folder if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_no_code_in_a_file_is_executed(tmp_path: Path) -> None:
    torch.save({"format": Attack(tmp_path / "hacked")}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Attack(tmp_path / "hacked")))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(CheckpointError, match="not a checkpoint"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "hacked").exists()


def test_a_failed_write_leaves_the_former_checkpoint(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="cannot write the checkpoint: No space left"):
        save_checkpoint(tmp_path / "a.pt", replace(checkpoint, epoch=4))
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "a.pt").epoch == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
