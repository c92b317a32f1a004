"""`flowstream features`: what it keeps, what it says, and that training then uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowstream.cli import main
from flowstream.errors import RecipeError
from flowstream.recipe import build
from flowstream.stages import Recipe, extract_flow, train_streams
from flowstream.stages.features import keep_features
from tests.stages.two_hues import write_two_hues

pytestmark = pytest.mark.usefixtures("pretrained_small_cnn")

STREAMS = """
[streams.spatial]
stream = "rgb"
model = "cnn_rnn"
frames = 4
size = 24
batch = 2
epochs = 1
options = {{ backbone = "small_cnn", hidden = 8, partial_bn = false }}
fixed_clips = true
cache_features = true
validation = {{ segments = 1, crops = 1 }}
evaluation = {{ segments = 1, crops = 1 }}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of one stream that keeps features, its stacks made."""
    return write_two_hues(tmp_path_factory.mktemp("features"), STREAMS)


def said(path: Path, *arguments: str) -> Any:
    done = CliRunner().invoke(main, ["features", str(path), "--quiet", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_verb_keeps_the_features_and_prints_the_speed_up(path: Path) -> None:
    (told,) = json.loads(said(path, "--json"))
    kept = path.parent / "run" / "spatial" / "features-train.h5"
    assert kept.exists()
    assert told["stream"] == "spatial"
    assert told["clips"] == 4 + 2
    assert told["bytes"] == sum(file.stat().st_size for file in kept.parent.glob("features-*.h5"))
    assert told["speed_up"] == pytest.approx(told["epoch_from_clips"] / told["epoch_from_features"])
    text = said(path, "spatial")
    assert "features of 6 clips" in text
    assert "times as fast" in text


def test_timing_leaves_no_training_behind_and_training_takes_the_features(path: Path) -> None:
    said(path)
    out = path.parent / "run" / "spatial"
    assert not (out / "last.pt").exists()
    written = (out / "features-train.h5").stat().st_mtime_ns
    recipe = loaded(path)
    train_streams(recipe, progress=False)
    assert (out / "features-train.h5").stat().st_mtime_ns == written


def loaded(path: Path, **changes: Any) -> Recipe:
    from flowstream.recipe import read_toml

    return build(Recipe, {**read_toml(path), **changes}, where="test")


@pytest.mark.parametrize(("name", "changes"), [("temporal", {}), ("spatial", {"plain": True})])
def test_a_stream_that_keeps_no_features_is_refused(
    path: Path, name: str, changes: dict[str, bool]
) -> None:
    recipe = loaded(path)
    if changes:
        stream = {**vars(recipe.streams["spatial"]), "cache_features": False}
        recipe = loaded(path, streams={"spatial": stream})
    with pytest.raises(RecipeError, match=r"that do: spatial|none of spatial"):
        keep_features(recipe, name)


def test_an_epoch_of_one_step_cannot_be_timed(path: Path) -> None:
    recipe = loaded(path)
    extract_flow(recipe.extract, recipe.stack_directory, progress=False)
    stream = {**vars(recipe.streams["spatial"]), "batch": 4}
    recipe = loaded(path, streams={"spatial": stream}, stacks=str(recipe.stack_directory))
    with pytest.raises(RecipeError, match="one step per epoch"):
        keep_features(
            build(Recipe, {**vars(recipe), "out": path.parent / "one"}, where="test"), "spatial"
        )
