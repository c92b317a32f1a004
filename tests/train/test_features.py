"""Kept features: the same training without the CNN, and no other CNN's, clips or flow."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError, ParameterError
from flowstream.models.cnn_rnn import CNNRNN
from flowstream.store.packing import write_pack
from flowstream.train.checkpoint import Checkpoint, load_checkpoint
from flowstream.train.fit import fit
from flowstream.train.known_features import mark_samples
from flowstream.train.recipe import StreamRecipe
from flowstream.train.run import start_run

Recipes = Callable[..., StreamRecipe]
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("pretrained_small_cnn")


@pytest.fixture
def rnn(recipe: Recipes) -> Recipes:
    """A recipe of a recurrent network over a CNN that is not trained."""

    def make(stream: str = "rgb", *, options: dict[str, Any] | None = None, **changes: Any) -> Any:
        own = {"hidden": 8} if "model" not in changes else {}
        plain = {"backbone": "small_cnn", "partial_bn": False, **own, **(options or {})}
        return recipe(
            stream,
            **{
                "model": "cnn_rnn",
                "frames": 4,
                "fixed_clips": True,
                "cache_features": True,
                "options": plain,
                "epochs": 3,
                **changes,
            },
        )

    return make


def train(recipe: StreamRecipe, split: Split, out: Path) -> Checkpoint:
    fit(recipe, split, out, device="cpu", progress=False)
    return load_checkpoint(out / "last.pt")


@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_training_from_kept_features_gives_the_weights_of_training_from_clips(
    stream: str, segments: int, split: Split, rnn: Recipes, tmp_path: Path
) -> None:
    kept = rnn(stream, segments=segments)
    cached = train(kept, split, tmp_path / "cached")
    plain = train(replace(kept, cache_features=False), split, tmp_path / "plain")
    assert cached.weights.keys() == plain.weights.keys()
    for name, value in plain.weights.items():
        # A convolution of another batch size may round otherwise: 1e-6 of a feature, which nine
        # steps of AdamW at 0.01 turn into less than a hundredth of a step.
        torch.testing.assert_close(cached.weights[name], value, rtol=0, atol=1e-4, msg=name)
    assert cached.measures["validation_top1"] == plain.measures["validation_top1"]
    assert not (tmp_path / "plain" / "features-train.h5").exists()


def test_the_cnn_is_run_once_for_each_clip(
    split: Split, rnn: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowstream.models.cnn_rnn import RecurrentClassifier

    seen = 0
    features = RecurrentClassifier.features

    def counted(self: RecurrentClassifier, clips: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(clips)
        return features(self, clips)

    monkeypatch.setattr(RecurrentClassifier, "features", counted)
    train(rnn(epochs=3), split, tmp_path)
    assert seen == len(split.train) + len(split.validation)


def test_an_interrupted_run_continues_from_its_features(
    split: Split, rnn: Recipes, tmp_path: Path
) -> None:
    start_run(rnn(), split, tmp_path, device=CPU)
    kept = tmp_path / "features-train.h5"
    written = kept.stat().st_mtime_ns
    train(rnn(), split, tmp_path)
    assert kept.stat().st_mtime_ns == written
    assert not list(tmp_path.glob("*.part"))


def test_the_file_holds_the_features_of_each_moment(
    split: Split, rnn: Recipes, tmp_path: Path
) -> None:
    kept = rnn(segments=2)
    run = start_run(kept, split, tmp_path, device=CPU)
    plain = start_run(replace(kept, cache_features=False), split, tmp_path, device=CPU)
    clips = torch.from_numpy(plain.clips[5].inputs["rgb"])
    with torch.inference_mode():
        truth = plain.model.eval().features(clips).numpy()  # type: ignore[operator]
    with h5py.File(tmp_path / "features-train.h5") as file:
        # rounding of float32 sums over some hundred products
        np.testing.assert_allclose(file["features"][5], truth, rtol=1e-5, atol=1e-5)
    assert run.clips[5].inputs["features"].shape == (2, truth.shape[2], 4, 1, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {"kernel": 3}}, "another CNN"),
        ({"frames": 5}, "another clip"),
        ({"segments": 2}, "another clip"),
        ({"stream": "flow"}, "another CNN, .*another stream, another clip"),
    ],
)
def test_features_of_something_else_are_refused(
    changes: dict[str, Any], said: str, split: Split, rnn: Recipes, tmp_path: Path
) -> None:
    start_run(rnn(), split, tmp_path, device=CPU)
    with pytest.raises(CheckpointError, match=f"features-train.h5: features of .*{said}"):
        start_run(rnn(**changes), split, tmp_path, device=CPU)


def test_features_of_other_videos_or_other_flow_are_refused(
    split: Split, other_split: Split, rnn: Recipes, tmp_path: Path
) -> None:
    start_run(rnn("flow"), split, tmp_path, device=CPU)
    with pytest.raises(CheckpointError, match="another list of videos"):
        start_run(rnn("flow"), replace(split, train=split.train[:-1]), tmp_path, device=CPU)
    with pytest.raises(CheckpointError, match="another kind of stacks"):
        start_run(rnn("flow"), other_split, tmp_path, device=CPU)


def test_another_recurrence_over_the_same_cnn_takes_the_same_features(
    split: Split, rnn: Recipes, tmp_path: Path
) -> None:
    start_run(rnn(), split, tmp_path, device=CPU)
    start_run(rnn(options={"cell": "gru", "hidden": 5}), split, tmp_path, device=CPU)


def test_a_damaged_cache_is_refused(split: Split, rnn: Recipes, tmp_path: Path) -> None:
    (tmp_path / "features-train.h5").write_bytes(b"no HDF5")
    with pytest.raises(CheckpointError, match="not a cache of features"):
        start_run(rnn(), split, tmp_path, device=CPU)


@pytest.mark.parametrize(
    "changes",
    [{"fixed_clips": False}, {"options": {"fine_tune": True}}, {"model": "early_fusion"}],
)
def test_features_that_change_are_not_kept(changes: dict[str, Any], rnn: Recipes) -> None:
    if "model" in changes:
        changes = {**changes, "options": {"pretrained": False}}
    with pytest.raises(ParameterError, match="cache_features: got true, expected false"):
        rnn(**changes)


def test_fixed_clips_are_the_same_in_every_epoch(
    split: Split, rnn: Recipes, tmp_path: Path
) -> None:
    clips = start_run(rnn(cache_features=False), split, tmp_path, device=CPU).clips
    first = clips[3].inputs["rgb"]
    clips.set_epoch(7)
    assert np.array_equal(clips[3].inputs["rgb"], first)


def test_a_cnn_without_weights_has_no_features_worth_keeping() -> None:
    assert not CNNRNN(backbone="small_cnn", pretrained=False).has_frozen_features
    assert CNNRNN().has_frozen_features
    assert not CNNRNN(fine_tune=True).has_frozen_features


def test_damaged_features_are_refused(rnn: Recipes, split: Split, tmp_path: Path) -> None:
    recipe = rnn()
    start_run(recipe, split, tmp_path, device=CPU)
    cache = tmp_path / "features-train.h5"
    whole = cache.read_bytes()
    with h5py.File(cache, "r") as file:
        where = file["features"].id.get_chunk_info(1).byte_offset
        shape = file["features"].shape

    def refused() -> None:
        with pytest.raises(CheckpointError, match="or damaged; remove the file"):
            start_run(recipe, split, tmp_path, device=CPU)

    flipped = bytearray(whole)
    flipped[where + 3] ^= 64
    cache.write_bytes(flipped)
    refused()
    for content in (None, np.zeros(shape[:3], np.float32), np.full(shape, np.nan, np.float32)):
        cache.write_bytes(whole)
        with h5py.File(cache, "a") as file:
            del file["features"]
            if content is not None:
                file["features"] = content
        refused()
    cache.write_bytes(whole)
    start_run(recipe, split, tmp_path, device=CPU)


def test_features_of_frames_do_not_depend_on_how_flow_is_treated(
    rnn: Recipes, split: Split, tmp_path: Path
) -> None:
    start_run(rnn(), split, tmp_path, device=CPU)
    start_run(rnn(bound=5.0), split, tmp_path, device=CPU)


def test_a_stack_in_a_pack_is_marked_by_the_state_of_the_pack(split: Split, tmp_path: Path) -> None:
    pack = tmp_path / "stacks.pack.h5"
    write_pack({f"a/{one.video}.h5": one.path for one in split.train}, pack)
    inside = [replace(one, path=pack / f"a/{one.video}.h5") for one in split.train]
    before = mark_samples(inside)
    assert len(np.unique(before, axis=0)) == len(inside)
    assert np.array_equal(before, mark_samples(inside))
    os.utime(pack, ns=(1, 1))
    assert not (before == mark_samples(inside)).all(axis=1).any()
