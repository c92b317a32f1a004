"""Every shipped recipe loads, and its opening says what its reader must know."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowstream.recipe import load_recipe
from flowstream.recipes import DIRECTORY, recipe_path
from flowstream.stages import Recipe

RECIPES = sorted(DIRECTORY.glob("*.toml"))
TWO_STREAM = [path for path in RECIPES if "[streams." in path.read_text(encoding="utf-8")]


def test_the_promised_recipes_are_shipped() -> None:
    assert {
        "demo",
        "folder",
        "hmdb51-tsn",
        "kinetics400",
        "ucf101-simonyan2014",
        "ucf101-subset",
        "ucf101-tsn",
    } <= {path.stem for path in TWO_STREAM}


@pytest.mark.parametrize("path", TWO_STREAM, ids=lambda path: path.stem)
def test_a_shipped_recipe_builds_everything_that_it_names(path: Path) -> None:
    recipe = load_recipe(path, Recipe)
    assert recipe.extract.settings().rgb
    assert {stream.stream for stream in recipe.streams.values()} == {"rgb", "flow"}
    assert recipe.make_fusion().name == recipe.fusion.method
    for stream in recipe.streams.values():
        assert stream.architecture.name == stream.model


@pytest.mark.parametrize("name", ["ucf101-tsn", "hmdb51-tsn"])
def test_networks_with_weights_of_imagenet_get_its_size_on_the_benchmarks(name: str) -> None:
    recipe = load_recipe(recipe_path(name), Recipe)
    for stream in recipe.streams.values():
        assert stream.options["pretrained"]
        assert stream.rows_columns == (224, 224)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_opens_with_needs_time_and_expected_score(path: Path) -> None:
    opening = path.read_text(encoding="utf-8").split("\n\n")[0]
    for word in ("Needs", "Time", "Expected"):
        assert f"# {word}" in opening
    assert "Source" in opening or "arXiv" in opening
