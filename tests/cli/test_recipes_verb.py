"""The verb that lists the shipped recipes and prints one."""

from __future__ import annotations

from flowstream.recipes import recipe_names, recipe_path
from tests.command_line import data, output, refusal


def test_every_shipped_recipe_is_listed_with_its_title() -> None:
    titles = data("recipes")
    assert tuple(titles) == recipe_names()
    assert all(titles.values())


def test_show_prints_a_recipe_unchanged() -> None:
    assert output("recipes", "show", "folder") == recipe_path("folder").read_text()


def test_an_unknown_recipe_names_the_nearest() -> None:
    assert "'folder'" in refusal(1, "recipes", "show", "foldr")
