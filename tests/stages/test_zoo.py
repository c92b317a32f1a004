"""A zoo: every model trained at one budget, tested on the same clips, compared with its cost."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from flowstream.errors import ParameterError, RecipeError
from flowstream.models import build_model
from flowstream.recipe import build
from flowstream.stages.zoo import ZooRecipe, compare_models

SMALL = {"backbone": "tiny_cnn", "pretrained": False, "dropout": 0.0}


def described(folder: Path, **changes: Any) -> dict[str, Any]:
    manifest = str(folder / "videos" / "manifest.csv")
    return {
        "out": str(folder / "zoo"),
        "toy": {
            "directory": str(folder / "videos"),
            "train": 2,
            "test": 2,
            "size": [32, 32],
            "frames": 6,
        },
        "extract": {"sources": [manifest], "method": "farneback"},
        "split": {"layout": "manifest", "files": manifest, "validation": 0.0},
        "stream": {
            "stream": "rgb",
            "frames": 4,
            "size": 16,
            "batch": 4,
            "epochs": 2,
            "evaluation": {"segments": 1, "crops": 1},
        },
        "models": {
            "early_fusion": {"options": SMALL},
            "single_frame": {"options": SMALL},
            "gru": {"model": "cnn_rnn", "options": {**SMALL, "hidden": 8, "cell": "gru"}},
        },
        **changes,
    }


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> ZooRecipe:
    """Three models that have been compared."""
    recipe = build(ZooRecipe, described(tmp_path_factory.mktemp("zoo")), where="test")
    compare_models(recipe, progress=False)
    return recipe


def test_each_model_is_measured_on_all_test_clips(zoo: ZooRecipe) -> None:
    found = json.loads((zoo.out / "comparison.json").read_text())
    assert found["contenders"][0]["name"] == "single_frame"  # blind ones first
    assert {one["name"]: one["sees_order"] for one in found["contenders"]} == {
        "single_frame": False,
        "early_fusion": True,
        "gru": True,
    }
    assert all(one["top1"]["total"] == 2 * 2 * 2 for one in found["contenders"])
    assert {one["clip"] for one in found["contenders"]} == {"3×4×16×16"}
    assert found["references"] == {"appearance alone": 0.5}
    assert found["budget"] == "2 epochs of 8 clips, 4 a step, for each"


def test_costs_are_those_of_the_networks(zoo: ZooRecipe) -> None:
    found = json.loads((zoo.out / "comparison.json").read_text())
    costs = {one["name"]: one for one in found["contenders"]}
    network = build_model("single_frame", channels=3, frames=4, size=16, classes=4, **SMALL)
    single = costs["single_frame"]
    weights = sum(value.numel() for value in network.parameters())
    assert single["parameters"] == weights
    # by hand, two for each multiplication: 3x3x3 to 12 maps of 16x16, 3x3x12 to 24 of 4x4, 24 to 4
    assert single["flops"] == 4 * 2 * (27 * 12 * 256 + 108 * 24 * 16 + 24 * 4)
    # SGD holds weights, gradients and one moment; the clips themselves are what the first layer
    # keeps to learn from
    assert single["memory_bytes"] > 4 * (3 * weights + 4 * 4 * 3 * 16 * 16)
    assert costs["early_fusion"]["flops"] < single["flops"]
    assert all(one["step_seconds"] > 0 for one in costs.values())


def test_the_comparison_is_a_table_a_page_and_links_to_each_report(zoo: ZooRecipe) -> None:
    rows = list(csv.DictReader((zoo.out / "comparison.csv").read_text().splitlines()))
    assert {row["name"] for row in rows} == set(zoo.models)
    assert all(0 <= float(row["top1_low"]) <= float(row["top1"]) for row in rows)
    page = (zoo.out / "comparison.html").read_text()
    assert "appearance alone 50.0 %" in page
    for row in rows:
        assert (zoo.out / row["report"]).exists()
        assert f'href="{row["report"]}"' in page


def test_completed_work_is_not_repeated(zoo: ZooRecipe) -> None:
    def times() -> dict[Path, int]:
        return {
            path: path.stat().st_mtime_ns
            for path in zoo.out.rglob("*")
            if path.suffix in (".pt", ".h5", ".npz")
        }

    before, accuracies = times(), (zoo.out / "comparison.csv").read_text()
    compare_models(zoo, progress=False)
    assert times() == before
    assert (zoo.out / "comparison.csv").read_text() == accuracies


def test_models_are_compared_on_videos_that_are_there_too(zoo: ZooRecipe, tmp_path: Path) -> None:
    """Without an action set, nothing is known of what cannot be seen, and stacks may be shared."""
    there = dataclasses.replace(
        zoo,
        out=tmp_path,
        toy=None,
        stacks=zoo.out / "stacks",
        models={"early_fusion": zoo.models["early_fusion"]},
    )
    page = compare_models(there, progress=False).read_text()
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert found["references"] == {"most frequent class": 0.25}
    assert found["data"].startswith("4 classes; train 8, validation 0, test 8")
    assert found["contenders"][0]["flops"] == _flops(zoo, "early_fusion")
    assert "appearance" not in page
    assert not (tmp_path / "stacks").exists()


def _flops(zoo: ZooRecipe, name: str) -> int:
    contenders = json.loads((zoo.out / "comparison.json").read_text())["contenders"]
    return next(int(one["flops"]) for one in contenders if one["name"] == name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {}}, "models: got none"),
        ({"models": {"gru": {}}}, "unknown model 'gru'"),
        ({"models": {"c3d": {"optoins": {}}}}, "models.c3d: optoins: unknown key.*'options'"),
        ({"models": {"c3d": {}, "s3d": {"frames": 8, "size": 32, "epochs": 9}}}, "one budget"),
        ({"models": {"c3d": {}, "s3d": {"frames": 8, "size": 32, "layers": "head"}}}, "one budget"),
        ({"models": {"i3d-rgb": {"model": "i3d"}}}, "models: 'i3d-rgb' is not a valid"),
        (
            {"split": {"layout": "manifest", "files": "other.csv"}},
            "expected .*manifest.csv as both",
        ),
        ({"models": {"s3d": {}}}, "got 4 frames, expected at least 8"),
    ],
)
def test_a_zoo_that_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        build(ZooRecipe, described(tmp_path, **changes), where="test")


def test_an_action_set_with_other_parameters_is_refused(zoo: ZooRecipe) -> None:
    assert zoo.toy
    changed = dataclasses.replace(zoo, toy=dataclasses.replace(zoo.toy, test=3))
    with pytest.raises(ParameterError, match="other parameters; choose another directory"):
        compare_models(changed, progress=False)
