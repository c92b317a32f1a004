"""Predictions and evaluations of a run use the fusion of the run, fitted on the same scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowstream.errors import ParameterError
from flowstream.recipe import load_recipe
from flowstream.scores import read_scores
from flowstream.stages import Recipe, run_stages
from flowstream.stages.evaluation import evaluate_run
from flowstream.stages.prediction import Predictor
from flowstream.stages.trials import find_rates, overfit_streams
from tests.command_line import data
from tests.stages.two_hues import TABLES, write_tiny_set

STREAM = """
[streams.{name}]
stream = "flow"
model = "motion_histograms"
frames = {frames}
run = 2
sampling = "spread"
size = "32x32"
options = {{{{ grid = {grid}, block = 2 }}}}
trainer = "linear"
trainer_options = {{{{ costs = [0.01, 1.0] }}}}
evaluation = {{{{ segments = 1, crops = 1 }}}}
"""
STREAMS = (
    'validation = 0.0\ngroup = "(\\\\d+)$"\n'
    + STREAM.format(name="one", frames=4, grid=[2, 2])
    + STREAM.format(name="two", frames=2, grid=[4, 2])
    + '[fusion]\nmethod = "log_linear"\n'
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A complete run of two streams whose fusion is fitted on cross-validated scores."""
    folder = tmp_path_factory.mktemp("fused")
    write_tiny_set(folder / "videos", train=6, validation=0, test=3)
    path = folder / "recipe.toml"
    path.write_text((TABLES + STREAMS).format(folder=folder.as_posix()))
    recipe = load_recipe(path, Recipe)
    run_stages(recipe, progress=False)
    assert not list(recipe.out.rglob("scores-train.npz"))
    assert not list(recipe.out.rglob("scores-validation.npz"))
    return recipe


def test_a_test_video_is_predicted_with_the_scores_of_the_run(recipe: Recipe) -> None:
    fused = read_scores(recipe.out / "fused" / "scores.npz")
    predictor = Predictor(recipe)
    for video, expected in zip(fused.videos, fused.scores, strict=True):
        stack = recipe.stack_directory / f"{video}.h5"
        found = predictor.predict(Path(video), stack)
        np.testing.assert_allclose(found.scores, expected, atol=1e-5)  # float32
    average = np.mean(
        [read_scores(recipe.out / name / "scores.npz").scores for name in recipe.streams], 0
    )
    assert not np.allclose(average, fused.scores, atol=1e-3)


def test_moments_of_spread_clips_are_predicted_from_their_part_of_the_video(
    recipe: Recipe,
) -> None:
    video = read_scores(recipe.out / "fused" / "scores.npz").videos[0]
    stack = recipe.stack_directory / f"{video}.h5"  # 5 fields; the longest clip has 4
    found = Predictor(recipe).predict(Path(video), stack, every=0.04)
    assert found.over_time.shape == (len(found.times), 2)
    first, last = found.over_time[0], found.over_time[-1]
    assert np.abs(first - last).max() > 1e-4
    np.testing.assert_allclose(found.over_time.sum(axis=1), 1, atol=1e-5)


def test_an_evaluation_by_the_same_protocol_gives_the_scores_of_the_run(recipe: Recipe) -> None:
    fused = read_scores(recipe.out / "fused" / "scores.npz")
    found = evaluate_run(recipe, progress=False)
    np.testing.assert_allclose(found.scores["fused"].scores, fused.scores, atol=1e-5)


def test_the_verb_fuse_gives_the_scores_of_the_run(recipe: Recipe, tmp_path: Path) -> None:
    files = [recipe.out / name / "scores.npz" for name in recipe.streams]
    out = tmp_path / "fused.npz"
    found = data("fuse", *files, "--method", "log_linear", "-o", out)
    assert found["fitted_on"] == "train"
    fused = read_scores(recipe.out / "fused" / "scores.npz")
    np.testing.assert_allclose(read_scores(out).scores, fused.scores, atol=1e-5)


def test_streams_of_a_linear_classifier_can_be_checked(recipe: Recipe) -> None:
    found = overfit_streams(recipe, 4, progress=False)
    assert [one.top1 for one in found.values()] == [1.0, 1.0]
    with pytest.raises(ParameterError, match="no learning rate"):
        find_rates(recipe, progress=False)
