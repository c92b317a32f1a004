"""The trainer "linear": what it leaves, that it calibrates, resumes and refuses."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError, ParameterError, ScoresError
from flowstream.train.checkpoint import load_checkpoint
from flowstream.train.cross_validation import choose_classifier
from flowstream.train.evaluation import Evaluation
from flowstream.train.linear import HELD_OUT, LinearTrainer
from flowstream.train.predict import predict
from flowstream.train.recipe import StreamRecipe


@pytest.fixture
def recipe() -> StreamRecipe:
    return StreamRecipe(
        stream="flow",
        model="motion_histograms",
        frames=4,
        run=2,
        sampling="spread",
        size=(20, 24),
        options={"grid": (2, 2), "block": 2},
        trainer="linear",
        trainer_options={"costs": [1.0, 100.0], "folds": 3},
        evaluation=Evaluation(segments=1, crops=1),
    )


def train(recipe: StreamRecipe, split: Split, out: Path) -> Path:
    trainer = LinearTrainer(costs=(1.0, 100.0), folds=3)
    return trainer.fit(
        recipe, split, out / "run", cache=out / "features", device="cpu", progress=False
    )


@pytest.fixture
def plain_split(split: Split) -> Split:
    return replace(split, train=(*split.train, *split.validation), validation=())


def test_the_toy_classes_are_learnt_and_scored_by_predict(
    recipe: StreamRecipe, plain_split: Split, tmp_path: Path
) -> None:
    best = train(recipe, plain_split, tmp_path)
    scores = predict(best, plain_split, "test", device="cpu", progress=False)
    # 7 of 8 were right when this was written; guessing gives 4
    assert (scores.scores.argmax(1) == scores.labels).mean() >= 0.75
    assert load_checkpoint(best).measures["validation_top1"] >= 0.75  # type: ignore[operator]


def test_cached_features_and_clips_give_the_same_scores(
    recipe: StreamRecipe, plain_split: Split, tmp_path: Path
) -> None:
    best = train(recipe, plain_split, tmp_path)
    options: dict[str, Any] = {"device": "cpu", "progress": False}
    direct = predict(best, plain_split, "test", **options)
    for _ in range(2):  # filled, then read
        cached = predict(best, plain_split, "test", cache=tmp_path / "features", **options)
        assert np.allclose(cached.scores, direct.scores, atol=1e-5)
    assert len(list((tmp_path / "features").iterdir())) == 2  # training and test


def test_features_of_another_fold_are_used_unless_the_stack_changed(
    recipe: StreamRecipe, plain_split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowstream.models.motion_histograms import HistogramClassifier

    train(recipe, plain_split, tmp_path)
    seen: list[int] = []
    features = HistogramClassifier.features

    def count(self: HistogramClassifier, clips: Any) -> Any:
        seen.append(len(clips))
        return features(self, clips)

    monkeypatch.setattr(HistogramClassifier, "features", count)
    # the training videos but one, in another order, and a test video
    fold = replace(plain_split, train=(*plain_split.train[:0:-1], plain_split.test[0]))
    options: dict[str, Any] = {
        "cache": tmp_path / "features",
        "device": "cpu",
        "progress": False,
    }
    trainer = LinearTrainer(costs=(1.0, 100.0), folds=3)
    reused = trainer.fit(recipe, fold, tmp_path / "fold", **options)
    assert sum(seen) == 1
    alone = trainer.fit(recipe, fold, tmp_path / "alone", **{**options, "cache": tmp_path / "no"})
    for name, values in load_checkpoint(alone).weights.items():
        # rounding of float32 in batches of another size
        assert np.allclose(load_checkpoint(reused).weights[name], values, atol=1e-4)
    seen.clear()
    os.utime(fold.train[0].path)
    trainer.fit(recipe, replace(fold, train=fold.train[:-1]), tmp_path / "again", **options)
    assert sum(seen) == 1


def test_held_out_scores_are_those_of_the_training_videos_and_this_checkpoint(
    recipe: StreamRecipe, plain_split: Split, tmp_path: Path
) -> None:
    best = train(recipe, plain_split, tmp_path)
    held = LinearTrainer().held_out_scores(best.parent, best)
    assert held is not None
    names = tuple(sample.video for sample in plain_split.train)
    assert held.videos[: len(names)] == names
    # other divisions of the same videos
    assert len(set(held.videos)) == len(held.videos) == 6 * len(names)
    assert held.groups == 6 * tuple(sample.group for sample in plain_split.train)
    np.testing.assert_array_equal(held.labels[: len(names)], held.labels[-len(names) :])
    assert held.part == "train"
    # not those of the classifier that saw the videos
    seen = predict(best, plain_split, "train", device="cpu", progress=False)
    assert not np.allclose(held.scores[: len(names)], seen.scores, atol=1e-3)
    (best.parent / HELD_OUT).unlink()
    with pytest.raises(ScoresError, match="Remove"):
        LinearTrainer().held_out_scores(best.parent, best)


def test_a_complete_run_is_not_repeated_and_another_recipe_is_refused(
    recipe: StreamRecipe, plain_split: Split, tmp_path: Path
) -> None:
    best = train(recipe, plain_split, tmp_path)
    modified = best.stat().st_mtime_ns
    assert train(recipe, plain_split, tmp_path).stat().st_mtime_ns == modified
    with pytest.raises(CheckpointError, match="another recipe"):
        train(replace(recipe, seed=1), plain_split, tmp_path)
    fewer = replace(plain_split, train=plain_split.train[:-2])
    with pytest.raises(CheckpointError, match="other videos"):
        train(recipe, fewer, tmp_path)


def test_noise_is_regularised_and_calibrated_to_guessing() -> None:
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 40)), np.arange(60) % 3
    groups = [str(index) for index in range(60)]
    chosen = choose_classifier(features, labels, groups, classes=3, options=LinearTrainer(), seed=0)
    # features of noise say nothing: probabilities near 1/3, so a loss near that of guessing
    assert chosen.best.loss == pytest.approx(np.log(3), abs=0.05)


def test_a_class_of_one_group_gets_scores_that_are_finite() -> None:
    random = np.random.default_rng(0)
    labels = np.array([0] * 10 + [1] * 10 + [2] * 3)
    features = random.normal(size=(23, 5)) + 4 * np.eye(3, 5)[labels]
    groups = [str(index) for index in range(20)] + ["only"] * 3
    chosen = choose_classifier(features, labels, groups, classes=3, options=LinearTrainer(), seed=0)
    assert all(np.isfinite(scores).all() for scores in chosen.held_out)
    assert (chosen.classifier(features).argmax(1) == labels).all()


def test_models_without_a_vector_of_features_and_wrong_options_are_refused(
    recipe: StreamRecipe,
) -> None:
    with pytest.raises(ParameterError, match="motion_histograms"):
        replace(recipe, model="early_fusion", options={}, size=32)
    with pytest.raises(ParameterError, match=r"folds: expected .* got 1"):
        replace(recipe, trainer_options={"folds": 1})
    with pytest.raises(ParameterError, match="costs"):
        replace(recipe, trainer_options={"costs": [0.0]})


def test_a_vocabulary_is_learnt_once_from_the_training_videos_and_kept(
    recipe: StreamRecipe, plain_split: Split, tmp_path: Path
) -> None:
    options = {"words": 2, "block": 1}
    fisher = replace(recipe, model="fisher_vectors", size=32, options=options, frames=3, run=3)
    best = train(fisher, plain_split, tmp_path)
    (vocabulary,) = (tmp_path / "features").glob("vocabulary-*.npz")
    weights = load_checkpoint(best).weights
    assert float(weights["fisher.encoders.0.mean"].abs().max()) > 0  # learnt: it is 0 at first
    before = vocabulary.stat().st_mtime_ns
    best.unlink()
    train(replace(fisher, seed=5), plain_split, tmp_path)
    assert vocabulary.stat().st_mtime_ns == before
    vocabulary.write_bytes(b"damaged")
    best.unlink()
    with pytest.raises(CheckpointError, match="vocabulary"):
        train(fisher, plain_split, tmp_path)
