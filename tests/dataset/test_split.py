"""Split recipes, held-out groups, and the promise of the layout table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.dataset.holdout import hold_out
from flowstream.dataset.listing import SplitRecipe
from flowstream.dataset.split import LAYOUTS
from flowstream.errors import ParameterError, RecipeError
from flowstream.recipe import build

CLIPS = st.lists(
    st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("KLM")), min_size=1, max_size=60
)


def test_every_layout_of_the_recipe_is_in_the_table() -> None:
    assert set(get_args(get_type_hints(SplitRecipe)["layout"])) == set(LAYOUTS)


def test_a_recipe_is_built_from_a_table_of_toml() -> None:
    values = {"layout": "ucf101", "files": "lists", "split": 2, "validation": 0.2}
    assert build(SplitRecipe, values, where="x.toml: split") == SplitRecipe(
        "ucf101", Path("lists"), 2, validation=0.2
    )
    with pytest.raises(RecipeError, match=r"x.toml: layout: got 'ucf'.*'ucf101'\?"):
        build(SplitRecipe, {"layout": "ucf"}, where="x.toml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layout": "ucf101"}, "files: missing; layout 'ucf101' requires the directory"),
        ({"layout": "manifest"}, "files: missing; layout 'manifest' requires the CSV file"),
        ({"layout": "folder", "files": Path("x")}, "layout 'folder' reads no split files"),
        ({"layout": "folder", "split": 0}, "split: got 0, expected 1 or more"),
        ({"layout": "folder", "validation": 1.0}, "validation: got 1.0, expected a fraction"),
        ({"layout": "folder", "test": -0.1}, "test: got -0.1, expected a fraction"),
        ({"layout": "folder", "group": "("}, r"group: got '\(', expected a regular expression"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SplitRecipe(**values)


@given(CLIPS, st.floats(0, 0.99), st.integers(0, 5))
def test_groups_are_held_out_whole_and_every_class_keeps_a_clip(
    clips: list[tuple[str, str]], fraction: float, seed: int
) -> None:
    held = hold_out(clips, fraction, seed)
    kept = {class_name for group, class_name in clips if group not in held}
    assert kept == {class_name for _, class_name in clips}
    assert held <= {group for group, _ in clips}
    assert held == hold_out(reversed(clips), fraction, seed)


@given(st.integers(2, 60), st.floats(0.01, 0.9), st.integers(0, 5))
def test_single_clips_are_held_out_to_the_nearest_number(
    n: int, fraction: float, seed: int
) -> None:
    held = hold_out([(str(i), "only") for i in range(n)], fraction, seed)
    # At least one is held out, at least one kept; half a clip is as near as whole clips come.
    assert len(held) == 1 or abs(len(held) - fraction * n) <= 0.5 + 1e-9
    assert 1 <= len(held) <= n - 1


def test_a_class_takes_its_smallest_group_when_all_are_too_large() -> None:
    sizes = {"a": 5, "b": 3, "c": 6}
    clips = [(group, "only") for group, size in sizes.items() for _ in range(size)]
    assert hold_out(clips, 0.05, seed=0) == {"b"}


def test_a_class_of_one_group_gives_nothing() -> None:
    assert hold_out([("a", "K")] * 9 + [("b", "L"), ("c", "L")], 0.5, seed=0) <= {"b", "c"}


def test_another_class_does_not_reshuffle_the_groups() -> None:
    first = [(f"K/{n}", "K") for n in range(30)]
    both = first + [(f"A/{n}", "A") for n in range(30)]
    assert hold_out(first, 0.3, seed=4) == {g for g in hold_out(both, 0.3, seed=4) if g[0] == "K"}


def test_seeds_spread_over_all_groups() -> None:
    clips = [(str(n), "only") for n in range(10)]
    counts = Counter(group for seed in range(200) for group in hold_out(clips, 0.3, seed))
    # Each of 10 is taken with probability 0.3 in 200 draws: mean 60, standard deviation 6.5.
    assert len(counts) == 10
    assert all(30 < count < 90 for count in counts.values())
