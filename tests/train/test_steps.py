"""Steps of training: mixed videos, accumulated gradients, averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flowstream.dataset.split import Split
from flowstream.train.average import WeightAverage
from flowstream.train.batches import Batch
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.consensus import CONSENSUS
from flowstream.train.fit import fit, train_step
from flowstream.train.mixing import drop_streams, mix_batch
from flowstream.train.recipe import StreamRecipe
from flowstream.train.run import start_run
from tests.train.test_fit import same

Recipes = Callable[..., StreamRecipe]
CPU = torch.device("cpu")


def test_accumulated_batches_give_the_step_of_one_large_batch(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    # without batch norm and dropout a batch is the sum of its parts
    options = {"backbone": "tiny_cnn", "pretrained": False, "dropout": 0.0}
    plain = recipe(options=options, optimiser="sgd", clip_gradient=0.5)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(5, 2, 4, 16, 16, generator=generator)
    labels = torch.tensor([0, 1, 0, 1, 1])
    rows = torch.arange(5)
    runs = [start_run(plain, split, tmp_path, device=CPU) for _ in range(2)]
    whole = [Batch({"flow": values}, labels, rows)]
    parts = [Batch({"flow": values[s]}, labels[s], rows[s]) for s in (slice(0, 3), slice(3, 5))]
    losses = [
        train_step(run, group, rate=0.1) for run, group in zip(runs, (whole, parts), strict=True)
    ]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-5)
    for one, other in zip(*(run.model.parameters() for run in runs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_share_of_a_mixed_video_is_that_of_its_pixels(recipe: Recipes, kind: str) -> None:
    plain = recipe(**{kind: 1.0})
    own = torch.arange(4.0)[:, None, None, None, None].expand(4, 2, 3, 16, 20)
    labels = torch.arange(4)
    for seed in range(20):
        random = np.random.default_rng(seed)
        mixed = mix_batch(plain, {"flow": own, "rgb": own}, labels, generator=random)
        assert torch.equal(mixed.inputs["flow"], mixed.inputs["rgb"])
        means = mixed.inputs["flow"].mean(dim=(1, 2, 3, 4))
        expected = mixed.share * labels + (1 - mixed.share) * mixed.others
        torch.testing.assert_close(means, expected.float(), atol=1e-4, rtol=0)
        assert 0 <= mixed.share <= 1
    assert torch.equal(own[:, 0, 0, 0, 0], labels.float())  # the batch itself is unchanged


def test_a_batch_without_mixing_is_unchanged(recipe: Recipes) -> None:
    values = {"flow": torch.randn(3, 2, 4, 8, 8)}
    labels = torch.tensor([0, 1, 1])
    mixed = mix_batch(recipe(), values, labels, generator=np.random.default_rng(0))
    assert mixed.inputs is values
    assert mixed.share == 1


def test_averaged_weights_lag_behind_and_converge(split: Split, recipe: Recipes) -> None:
    plain = recipe(options={"backbone": "small_cnn", "pretrained": False})
    model = plain.architecture.build(plain.clip, 2)
    average = WeightAverage(model, decay=0.9)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(1.0)
    distance = []
    for _ in range(80):
        average.update(model)
        pairs = zip(average.model.parameters(), model.parameters(), strict=True)
        distance.append(max(float((one - other).detach().abs().max()) for one, other in pairs))
    assert 0 < distance[0] < 1
    assert distance[-1] < 1e-2
    copy = WeightAverage(model, decay=0.9)
    copy.load_state_dict(average.state_dict())
    assert same(dict(copy.model.state_dict()), dict(average.model.state_dict()))
    assert copy.steps == 80


def test_a_run_with_everything_continues_to_the_same_end(
    split: Split, recipe: Recipes, tmp_path: Path
) -> None:
    full = recipe(
        epochs=3, ema=0.9, mixup=0.4, cutmix=0.4, accumulate=2, backbone_rate=0.5, segments=2,
        consensus="top_k", layer_decay=0.9,
    )  # fmt: skip
    fit(full, split, tmp_path / "whole", device="cpu", progress=False)
    out = tmp_path / "stopped"
    # a run of the same schedule that a kill leaves after its first epoch
    run = start_run(full, split, out, device=CPU)
    from flowstream.train.fit import train_epoch

    run.history.append(train_epoch(run, 0, progress=False))
    run.save(out)
    fit(full, split, out, device="cpu", progress=False)
    for name in ("best.pt", "last.pt"):
        one, other = (load_checkpoint(tmp_path / where / name) for where in ("whole", "stopped"))
        assert one.identity == other.identity
    last = load_checkpoint(out / "last.pt")
    assert last.resume is not None
    assert not same(dict(last.resume["average"]["weights"]), dict(last.weights))


@pytest.mark.parametrize("name", CONSENSUS)
def test_the_consensus_of_equal_scores_is_those_scores(name: str) -> None:
    scores = torch.randn(3, 1, 4).expand(3, 5, 4)
    torch.testing.assert_close(CONSENSUS[name](scores), scores[:, 0])


def test_the_best_half_of_the_segments_decides() -> None:
    scores = torch.tensor([[[1.0], [2.0], [5.0], [6.0]]])
    found = {name: float(CONSENSUS[name](scores)) for name in CONSENSUS}
    # of one class, all segments are as sure as each other
    even = {"average": 3.5, "weighted": 3.5, "attention": 3.5}
    assert found == {"max": 6.0, "top_k": 5.5, **even}


@pytest.mark.parametrize("name", ["weighted", "attention"])
def test_a_segment_that_is_unsure_or_disagrees_counts_less(name: str) -> None:
    sure = torch.tensor([4.0, 0.0, 0.0])
    scores = torch.stack([sure, sure, torch.tensor([0.0, 1.0, 0.0])]).unsqueeze(0)
    found, mean = CONSENSUS[name](scores)[0], scores[0].mean(dim=0)
    assert float(found[0]) > float(mean[0]) + 0.1
    assert float(found[1]) < float(mean[1])


def test_streams_are_dropped_video_by_video_and_never_both() -> None:
    inputs = {"rgb": torch.ones(400, 3, 1, 2, 2), "flow": torch.ones(400, 2, 5, 2, 2)}
    generator = np.random.default_rng(0)
    kept = {
        name: values.flatten(1).amax(dim=1)
        for name, values in drop_streams(inputs, 0.5, generator).items()
    }
    assert float((kept["rgb"] + kept["flow"]).min()) == 1
    for values in kept.values():
        # a quarter of 400, whose standard deviation is 9
        assert 60 < int((values == 0).sum()) < 140
    assert float(inputs["rgb"].min()) == 1
    assert drop_streams(inputs, 0.0, generator) is inputs


def test_two_runs_with_one_seed_agree(split: Split, recipe: Recipes, tmp_path: Path) -> None:
    for name in ("one", "other"):
        fit(recipe(epochs=1), split, tmp_path / name, device="cpu", progress=False)
    one, other = (load_checkpoint(tmp_path / name / "last.pt") for name in ("one", "other"))
    assert one.identity == other.identity
    again = replace(recipe(epochs=1), seed=3)
    fit(again, split, tmp_path / "third", device="cpu", progress=False)
    assert load_checkpoint(tmp_path / "third" / "last.pt").identity != one.identity
