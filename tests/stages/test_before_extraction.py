"""Everything that can fail is found before the videos are extracted: the list of the checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream import synthetic
from flowstream.errors import CheckpointError, ExtractionError, FlowstreamError
from flowstream.extract import batch, trial
from flowstream.recipe import build
from flowstream.stages import Recipe, run_stages
from flowstream.stages.checks import check_checkpoint_space, check_stacks
from flowstream.stages.repeat_checks import check_repeats
from flowstream.stages.training import train_checked
from flowstream.train.fit import fit
from flowstream.train.recipe import StreamRecipe
from flowstream.train.space import forecast_checkpoints
from tests.train.conftest import write_split

STREAM = {
    "stream": "rgb",
    "model": "single_frame",
    "frames": 1,
    "options": {"backbone": "small_cnn", "pretrained": False},
    "size": 24,
}


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A recipe whose videos are of two sizes, as plain data."""
    for index, name in enumerate(["train/walk/a", "train/run/b", "test/walk/c", "test/run/d"]):
        path = tmp_path / "videos" / f"{name}.avi"
        path.parent.mkdir(parents=True)
        size = (48, 64) if index else (48, 72)
        synthetic.write_video(path, [np.zeros(size, np.uint8)] * 2, codec="mpeg4")
    return {
        "out": str(tmp_path / "run"),
        "extract": {"sources": [str(tmp_path / "videos")], "size": "64x48"},
        "split": {"layout": "folder"},
        "streams": {"spatial": STREAM},
    }


def change(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested tables with some entries replaced."""
    changed = dict(values)
    for key, value in changes.items():
        old = values.get(key)
        merged = isinstance(value, dict) and isinstance(old, dict)
        changed[key] = change(old, value) if merged else value  # type: ignore[arg-type]
    return changed


FLOW = {**STREAM, "stream": "flow", "model": "early_fusion", "frames": 4, "batch": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"layout": "manifest", "files": "/nowhere/list.csv"}}, "/nowhere/list.csv"),
        ({"split": {"layout": "ucf101", "files": "/nowhere", "split": 9}}, "/nowhere"),
        ({"device": "cuda:77"}, "cuda:77"),
        ({"fusion": {"method": "wieghted"}}, "unknown fusion 'wieghted'.*'weighted'"),
        ({"fusion": {"method": "svm", "parameters": {"dept": 1}}}, "fusion 'svm': dept"),
        ({"extract": {"size": None}}, r"2 sizes, 64x48 \(3, such as .*72x48 \(1, .*\"64x48\""),
        ({"extract": {"size": None, "short_side": 32}}, "43x32 .*48x32"),
        ({"extract": {"rgb": False}}, "streams.spatial: .*no RGB frames.* set in this table: rgb"),
        (
            {"streams": {"temporal": {**FLOW, "stacking": "bidirectional"}}},
            r"streams.temporal: \[extract\]: no backward flow",
        ),
        ({"streams": {"temporal": {**FLOW, "camera": "removed"}}}, "stabilise"),
        (
            {"streams": {"spatial": {"options": {"pretrained": "/nowhere/weights.pth"}}}},
            "spatial: .*/nowhere/weights.pth",
        ),
    ],
)
def test_nothing_is_extracted_if_training_could_not_start(
    values: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    changed = change(values, changes)
    with pytest.raises(FlowstreamError, match=message) as caught:
        run_stages(build(Recipe, changed, where="test"), progress=False)
    assert "\n" not in str(caught.value)
    assert not Path(values["out"]).exists()


def test_one_class_and_no_test_videos_are_found_before_the_extraction(
    values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "videos/test/walk/c.avi").unlink()
    (tmp_path / "videos/train/walk/a.avi").unlink()
    with pytest.raises(FlowstreamError, match="one class only"):
        run_stages(build(Recipe, values, where="test"), progress=False)
    (tmp_path / "videos/test/run/d.avi").rename(tmp_path / "videos/train/run/d.avi")
    with pytest.raises(FlowstreamError, match="no test video"):
        run_stages(build(Recipe, values, where="test"), progress=False)
    assert not Path(values["out"]).exists()


def test_splits_and_folds_are_checked_before_the_extraction(values: dict[str, Any]) -> None:
    recipe = build(Recipe, values, where="test")
    with pytest.raises(FlowstreamError, match="folds: got 9, expected 2 to 4"):
        check_repeats(recipe, folds=9)
    check_repeats(recipe, seeds=(0, 1))
    with pytest.raises(FlowstreamError, match="layout 'folder' has one split"):
        check_repeats(recipe, splits=(1, 2))


def test_repeats_of_existing_stacks_are_checked_before_the_first(tmp_path: Path) -> None:
    stacks, lists = tmp_path / "stacks", tmp_path / "lists"
    lists.mkdir()
    names = [f"{name}/v_{name}_g0{group}_c01" for name in ("Run", "Walk") for group in (1, 2)]
    for name in names:
        (stacks / name).parent.mkdir(parents=True, exist_ok=True)
        (stacks / f"{name}.h5").touch()
    (lists / "classInd.txt").write_text("1 Run\n2 Walk\n")
    (lists / "trainlist01.txt").write_text(f"{names[0]}.avi 1\n{names[2]}.avi 2\n")
    (lists / "testlist01.txt").write_text(f"{names[1]}.avi\n{names[3]}.avi\n")
    values = {
        "out": str(tmp_path / "run"),
        "stacks": str(stacks),
        "extract": {"sources": []},
        "split": {"layout": "ucf101", "files": str(lists), "validation": 0.0},
        "streams": {"spatial": STREAM},
    }
    recipe = build(Recipe, values, where="test")
    check_repeats(recipe, extract=False, splits=(1,))
    with pytest.raises(FlowstreamError, match=r"trainlist09\.txt: no such split file"):
        check_repeats(recipe, extract=False, splits=(1, 9))


def test_stacks_of_the_test_part_are_checked_before_the_training(tmp_path: Path) -> None:
    split = write_split(tmp_path / "stacks", train=2, validation=0, test=2, method="known")
    values = {
        "out": str(tmp_path / "run"),
        "extract": {"sources": []},
        "split": {"layout": "folder"},
        "streams": {"spatial": STREAM},
    }
    recipe = build(Recipe, values, where="test")
    check_stacks(recipe, split)
    split.test[-1].path.write_bytes(b"damaged")
    with pytest.raises(FlowstreamError, match=split.test[-1].path.name):
        train_checked(recipe, split=split, progress=False)
    assert not (tmp_path / "run" / "spatial").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"optimiser": "sgd"},
        {"optimiser": "sgd", "momentum": 0.0},
        {"optimiser": "adamw", "ema": 0.9},
        {"optimiser": "adamw", "layers": "head"},
    ],
)
def test_the_forecast_of_checkpoints_is_their_size(options: dict[str, Any], tmp_path: Path) -> None:
    recipe = build(StreamRecipe, {**FLOW, **options}, where="test")
    split = write_split(tmp_path, train=2, validation=0, test=0, method="known")
    fit(replace(recipe, epochs=1), split, tmp_path / "run", device="cpu", progress=False)
    for name, expected in zip(("best.pt", "last.pt"), forecast_checkpoints(recipe, 2), strict=True):
        # torch's archive needs some 300 bytes for each of some 60 tensors
        assert 0 <= (tmp_path / "run" / name).stat().st_size - expected < 30_000


def test_stacks_must_fit_beside_the_checkpoints(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = build(Recipe, change(values, {"extract": {"jobs": 1}}), where="test")
    best, last = forecast_checkpoints(recipe.streams["spatial"], 2)
    for module in (trial, batch):  # just enough for the checkpoints
        monkeypatch.setattr(module, "free_bytes", lambda _: best + 2 * last)
    with pytest.raises(ExtractionError, match=r"stacks will take .*, and later files .* free"):
        run_stages(recipe, progress=False)


def test_checkpoints_that_do_not_fit_are_refused_before_the_extraction(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = build(Recipe, values, where="test")
    best, last = forecast_checkpoints(recipe.streams["spatial"], 2)
    monkeypatch.setattr(trial, "free_bytes", lambda _: best + 2 * last)
    check_checkpoint_space(recipe, 2)
    with pytest.raises(CheckpointError, match="checkpoints will take"):
        check_repeats(recipe, seeds=(0, 1))
    monkeypatch.setattr(trial, "free_bytes", lambda _: best + 2 * last - 1)
    with pytest.raises(CheckpointError, match=r"checkpoints will take about .* free"):
        run_stages(recipe, progress=False)
    assert not Path(values["out"]).exists()
