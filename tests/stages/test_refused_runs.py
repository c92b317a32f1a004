"""A refused command leaves the directory of a run as it was, and names a way out that exists."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from flowstream import progress
from flowstream.errors import CheckpointError, ExtractionError
from flowstream.locks import lock_directory
from flowstream.recipe import build
from flowstream.stages import Recipe, extract_flow, run_stages, train_streams, training
from flowstream.stages.repeats import make_repeats, run_repeats
from flowstream.stages.trials import overfit_streams
from tests.command_line import refusal
from tests.stages.two_hues import write_tiny_set

STREAM = {
    "options": {"backbone": "small_cnn", "pretrained": False},
    "size": 24,
    "epochs": 1,
    "evaluation": {"segments": 1, "crops": 1},
}


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The recipe of a complete run, as plain data."""
    folder = tmp_path_factory.mktemp("refused")
    write_tiny_set(folder / "videos")
    manifest = str(folder / "videos" / "manifest.csv")
    values = {
        "out": str(folder / "run"),
        "stacks": str(folder / "stacks"),
        "extract": {"sources": [manifest], "method": "farneback", "jobs": 1},
        "split": {"layout": "manifest", "files": manifest},
        "streams": {
            "spatial": {"stream": "rgb", "model": "single_frame", "frames": 1, **STREAM},
            "temporal": {"stream": "flow", "model": "early_fusion", "frames": 4, **STREAM},
        },
    }
    run_stages(build(Recipe, values, where="test"), progress=False)
    return values


def change(values: dict[str, Any], stream: str, **changes: Any) -> Recipe:
    """Return the recipe with some entries of one stream replaced."""
    streams = {**values["streams"], stream: {**values["streams"][stream], **changes}}
    return build(Recipe, {**values, "streams": streams}, where="test")


def digests(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_refused_training_changes_no_file_of_the_run(values: dict[str, Any]) -> None:
    out = Path(values["out"])
    before = digests(out)
    with pytest.raises(CheckpointError, match=r"temporal.*another recipe \(frames 4, now 5\)"):
        train_streams(change(values, "temporal", frames=5), progress=False)
    assert digests(out) == before


def test_two_runs_never_train_into_one_directory(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "PATIENCE_SECONDS", 0.0)
    recipe = build(Recipe, values, where="test")
    with lock_directory(recipe.out, CheckpointError):
        before = digests(recipe.out)
        with pytest.raises(CheckpointError, match="another run is writing into this directory"):
            train_streams(recipe, progress=False)
        assert digests(recipe.out) == before


def test_a_stream_is_refused_before_another_one_is_trained(
    values: dict[str, Any], tmp_path: Path
) -> None:
    changed = {**values, "out": str(tmp_path / "run"), "streams": {**values["streams"]}}
    spatial = changed["streams"].pop("spatial")
    run_stages(build(Recipe, changed, where="test"), progress=False)
    changed["streams"] = {"spatial": spatial, **changed["streams"]}
    with pytest.raises(CheckpointError, match=r"temporal.*another recipe"):
        train_streams(change(changed, "temporal", size=20), progress=False)
    assert not (tmp_path / "run" / "spatial").exists()


def test_a_repeat_is_refused_before_the_first_is_trained(
    values: dict[str, Any], tmp_path: Path
) -> None:
    values = {**values, "out": str(tmp_path / "run")}
    recipe = build(Recipe, values, where="test")
    run_repeats(recipe, make_repeats(recipe, seeds=(1,)), progress=False)
    longer = change(values, "spatial", batch=2)
    with pytest.raises(CheckpointError, match="seed-1"):
        run_repeats(longer, make_repeats(longer, seeds=(0, 1)), progress=False)
    assert not (tmp_path / "run" / "seed-0").exists()


def test_a_trial_of_another_recipe_replaces_the_former(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)  # a line for each step
    values = {**values, "out": str(tmp_path / "run")}
    for rate in (0.001, 0.002):
        recipe = change(values, "temporal", learning_rate=rate)
        found = overfit_streams(recipe, 2, epochs=2)
        assert set(found) == {"spatial", "temporal"}
    # streams have their names of the recipe in the progress, too
    lines = {line.partition(":")[0] for line in capsys.readouterr().err.splitlines()}
    assert {"spatial", "temporal"} <= lines
    assert not {"rgb", "flow"} & lines


def test_a_recipe_without_sources_is_refused_with_the_way_out(
    values: dict[str, Any], tmp_path: Path
) -> None:
    changed = {**values, "extract": {"sources": []}, "stacks": str(tmp_path / "stacks")}
    recipe = build(Recipe, changed, where="test")
    for run in (run_stages, lambda one: extract_flow(one.extract, one.stack_directory)):
        with pytest.raises(ExtractionError, match=r"sources: got none.*--no-extract"):
            run(recipe)
    assert not (tmp_path / "stacks").exists()


@pytest.mark.usefixtures("pretrained_small_cnn")
@pytest.mark.parametrize("verb", ["train", "features"])
def test_a_way_out_of_a_message_is_an_option_of_the_verb(verb: str, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "bad.mp4").write_text("no video")
    (tmp_path / "recipe.toml").write_text(
        f"""
out = "{tmp_path.as_posix()}/run"
[extract]
sources = ["{tmp_path.as_posix()}/videos"]
[split]
layout = "folder"
[streams.spatial]
stream = "rgb"
model = "cnn_rnn"
options = {{ backbone = "small_cnn" }}
fixed_clips = true
cache_features = true
"""
    )
    line = refusal(1, verb, tmp_path / "recipe.toml", "--no-extract", "--quiet")
    assert "run/stacks: no" in line
