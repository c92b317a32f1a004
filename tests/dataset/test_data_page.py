"""The examples of data/README.md are read by the code that they describe."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from flowstream.dataset.listing import SplitRecipe
from flowstream.dataset.split import LAYOUTS, read_split
from flowstream.recipe import build, read_toml

Make = Callable[..., Path]
PAGE = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")


def example(pattern: str) -> str:
    """The one code block that matches."""
    (text,) = [block for block in re.findall(r"```\w*\n(.*?)```", PAGE, re.S) if pattern in block]
    return str(text)


def test_the_recipe_table_builds(lists: Make) -> None:
    folder = lists({"recipe.toml": example("[split]")})
    recipe = build(SplitRecipe, read_toml(folder / "recipe.toml")["split"], where="page")
    assert recipe == SplitRecipe("ucf101", Path("data/ucf101/ucfTrainTestlist"))


def test_the_manifest_reads(lists: Make, tree: Make) -> None:
    folder = lists({"m.csv": example("video,label,split")})
    split = read_split(SplitRecipe("manifest", folder / "m.csv"), tree("walk/1", "jump/7, slow"))
    assert split.classes == ("jump", "walk")
    assert (len(split.train), len(split.test)) == (1, 1)


def test_every_layout_is_described() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) >= set(LAYOUTS)
