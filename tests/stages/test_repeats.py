"""Repeats on stacks with UCF101's names: official splits, folds, and one group left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowstream.recipe import build
from flowstream.scores import read_scores
from flowstream.stages import Recipe, extract_flow
from flowstream.stages.repeats import Repeated, make_repeats, run_repeats
from flowstream.stages.runs import list_runs
from flowstream.train.linear import HELD_OUT
from tests.stages.two_hues import write_tiny_set

CLASSES = ("Archery", "Biking")
GROUPS = (1, 2, 3)


def describe(folder: Path, out: str) -> Recipe:
    """Return a recipe whose training is a linear classifier: tenths of a second."""
    stream = {
        "stream": "flow",
        "model": "motion_histograms",
        "frames": 4,
        "sampling": "spread",
        "size": 24,
        "options": {"grid": (2, 2), "block": 1},
        "trainer": "linear",
        "trainer_options": {"costs": [10.0]},
        "evaluation": {"segments": 1, "crops": 1},
    }
    data = {
        "out": str(folder / out),
        "stacks": str(folder / "stacks"),
        "extract": {"sources": [str(folder / "videos")], "method": "farneback", "jobs": 1},
        "split": {"layout": "ucf101", "files": str(folder / "lists"), "validation": 0.0},
        "streams": {"temporal": stream},
    }
    return build(Recipe, data, where="test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of three groups of two clips; official split N tests on group N."""
    folder = tmp_path_factory.mktemp("repeats")
    write_tiny_set(folder / "made", train=2, validation=2, test=2)
    (folder / "lists").mkdir()
    names = []
    for name, made in zip(CLASSES, ("green_right", "red_right"), strict=True):
        (folder / "videos" / name).mkdir(parents=True)
        for index, path in enumerate(sorted((folder / "made" / made).glob("*.mp4"))):
            clip = f"{name}/v_{name}_g{index // 2 + 1:02d}_c{index % 2 + 1:02d}"
            path.rename(folder / "videos" / f"{clip}.mp4")
            names.append(clip)
    classes = "".join(f"{index} {name}\n" for index, name in enumerate(CLASSES, 1))
    (folder / "lists" / "classInd.txt").write_text(classes)
    for split in GROUPS:
        for part in ("train", "test"):
            chosen = [name for name in names if (f"_g{split:02d}_" in name) == (part == "test")]
            lines = "".join(f"{name}.avi\n" for name in chosen)
            (folder / "lists" / f"{part}list{split:02d}.txt").write_text(lines)
    recipe = describe(folder, "run")
    extract_flow(recipe.extract, recipe.stack_directory, progress=False)
    return folder


def run(recipe: Recipe, **kinds: object) -> Repeated:
    return run_repeats(recipe, make_repeats(recipe, **kinds), progress=False)  # type: ignore[arg-type]


def test_each_official_split_is_trained_and_tested_on_its_own_lists(folder: Path) -> None:
    recipe = describe(folder, "splits")
    repeated = run(recipe, splits=GROUPS)
    for split in GROUPS:
        own = recipe.out / f"split-{split}" / "temporal"
        tested = read_scores(own / "scores.npz").videos
        trained = set(read_scores(own / HELD_OUT).videos)
        assert len(tested) == 4
        assert all(f"_g{split:02d}_" in video for video in tested)
        assert len({video.partition(" ")[0] for video in trained}) == 8
        assert not trained & set(tested)
    assert len(repeated.values("temporal", "top1")) == 3
    # the log of a linear classifier counts no epochs
    assert {run.epochs["temporal"] for run in list_runs(recipe.out)} == {"trained"}
    assert not repeated.pooled  # each official split is a result of its own


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ({"folds": 2}, ["fold-1", "fold-2"]),
        (
            {"leave_one_group_out": True},
            [f"group-{name}_g{group:02d}" for name in CLASSES for group in GROUPS],
        ),
    ],
)
def test_a_cross_validation_tests_every_video_once_and_no_group_in_both_parts(
    folder: Path, kinds: dict[str, object], names: list[str]
) -> None:
    recipe = describe(folder, "-".join(kinds))
    repeated = run(recipe, **kinds)
    assert sorted(repeated.results) == names
    for name in names:
        own = recipe.out / name / "temporal"
        tested, trained = read_scores(own / "scores.npz"), read_scores(own / HELD_OUT)
        assert not set(tested.groups) & set(trained.groups)
    pooled = read_scores(recipe.out / "pooled" / "temporal" / "scores.npz")
    assert len(set(pooled.videos)) == len(pooled.videos) == 12
    measured = repeated.pooled["temporal"]
    confusion = np.array(measured.confusion)
    assert confusion.sum(axis=1).tolist() == [6, 6]
    # unweighted mean of the recalls of the pooled confusion, not of the folds
    recalls = confusion.diagonal() / confusion.sum(axis=1)
    assert measured.mean_class_accuracy == pytest.approx(recalls.mean())
    assert repeated.report is not None
    assert repeated.report.exists()
