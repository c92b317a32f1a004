"""Scores of videos: views averaged, flow and classes checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flowstream.dataset.clip import Clip
from flowstream.dataset.split import Split
from flowstream.dataset.transforms import Normalise, apply
from flowstream.errors import CheckpointError, SplitError
from flowstream.scores import Scores
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.clips import training_clips, viewed_clips
from flowstream.train.evaluation import Evaluation
from flowstream.train.fit import fit
from flowstream.train.predict import predict
from flowstream.train.recipe import StreamRecipe

Recipes = Callable[..., StreamRecipe]


@pytest.fixture(scope="module")
def trained(split: Split, recipe: Recipes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    return fit(recipe("flow", epochs=8, seed=2), split, out, device="cpu", progress=False)


def score(path: Path, split: Split, views: Evaluation | None = None) -> Scores:
    return predict(path, split, "test", views=views, device="cpu", progress=False)


def test_unseen_videos_are_classified_correctly(trained: Path, split: Split) -> None:
    scores = score(trained, split)
    assert scores.scores.dtype == np.float32
    assert (scores.scores.argmax(axis=1) == scores.labels).all()
    np.testing.assert_allclose(scores.scores.sum(axis=1), 1, atol=1e-6)


def test_scores_say_what_they_are_of(trained: Path, split: Split) -> None:
    scores = score(trained, split)
    assert scores.videos == tuple(sample.video for sample in split.test)
    assert scores.labels.tolist() == [sample.label for sample in split.test]
    assert (scores.classes, scores.stream, scores.part) == (("across", "down"), "flow", "test")
    assert scores.checkpoint == load_checkpoint(trained).identity


def test_a_score_is_the_mean_softmax_over_all_views(trained: Path, split: Split) -> None:
    views = Evaluation(segments=2, crops=5)
    checkpoint = load_checkpoint(trained)
    clips = viewed_clips(checkpoint.recipe, split.test, views)
    network = checkpoint.network()
    with torch.inference_mode():
        expected = [
            network(torch.from_numpy(item.inputs["flow"])).softmax(dim=1).mean(dim=0).numpy()
            for item in clips
        ]
    assert clips.views == 10
    # 1e-6: other batches sum in another order
    np.testing.assert_allclose(score(trained, split, views).scores, expected, atol=1e-6)


def test_prediction_is_deterministic(trained: Path, split: Split) -> None:
    assert np.array_equal(score(trained, split).scores, score(trained, split).scores)


def test_a_split_of_other_classes_is_refused(trained: Path, split: Split) -> None:
    with pytest.raises(CheckpointError, match=r"2 classes \(across, down\).*\(across, up\)"):
        score(trained, replace(split, classes=("across", "up")))


def test_other_flow_than_in_training_is_refused(trained: Path, other_split: Split) -> None:
    with pytest.raises(CheckpointError, match=r"test videos.*method.name.*'unknown'.*'known'"):
        score(trained, other_split)


def test_an_empty_part_is_refused(trained: Path, split: Split) -> None:
    with pytest.raises(SplitError, match="no videos"):
        score(trained, replace(split, test=()))


def test_rgb_comes_as_the_backbone_was_trained(split: Split, recipe: Recipes) -> None:
    rgb = recipe("rgb", options={"backbone": "efficientnet_lite0"}, size=32)
    for clips in (
        training_clips(rgb, split.train),
        viewed_clips(rgb, split.train, Evaluation(segments=1, crops=1)),
    ):
        assert list(clips.inputs) == ["rgb"]
        image = np.moveaxis(np.array([[[0, 127, 255]]], np.uint8), 2, 0)[:, None]
        steps = [step for step in clips.transform if isinstance(step, Normalise)]
        (seen,) = apply(steps, Clip("rgb", image), np.random.default_rng(0))
        # (v - 127) / 128; float32
        np.testing.assert_allclose(seen.values.ravel(), [-127 / 128, 0, 1], atol=1e-6)


def test_flow_comes_in_units_of_the_bound(split: Split, recipe: Recipes) -> None:
    clips = viewed_clips(recipe(bound=3.0), split.train[:1], Evaluation(segments=1, crops=1))
    # 3 px sideways; the crop of 16 is taken from 20 rows shown as 18, a scale of 0.9
    assert abs(float(clips[0].inputs["flow"][0, 0].mean())) == pytest.approx(0.914, abs=0.05)
