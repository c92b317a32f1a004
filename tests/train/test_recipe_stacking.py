"""A recipe's stacking reaches its clips and is what a checkpoint's identity tells apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flowstream.dataset.inputs.flow import Flow
from flowstream.dataset.split import Split
from flowstream.plugins import provenance
from flowstream.recipe import build
from flowstream.train.clips import training_clips, viewed_clips
from flowstream.train.recipe import StreamRecipe

Recipes = Callable[..., StreamRecipe]


def test_clips_are_stacked_as_the_recipe_says(split: Split, recipe: Recipes) -> None:
    plain, along = recipe(), recipe(stacking="trajectory")
    for clips in (training_clips, lambda made, part: viewed_clips(made, part, made.validation)):
        flow, followed = clips(plain, split.train), clips(along, split.train)
        assert followed.inputs == {"flow": Flow("trajectory")}
        one, other = flow[0].inputs["flow"], followed[0].inputs["flow"]
        assert one.shape == other.shape
        # noise: whoever follows it meets other vectors, but for the first field
        np.testing.assert_array_equal(one[..., 0, :, :], other[..., 0, :, :])
        assert (one != other).any()


def test_stacking_is_recorded_and_is_plain_where_a_recipe_is_older(recipe: Recipes) -> None:
    along = recipe(stacking="trajectory")
    record = provenance(along)
    assert record["stacking"] == "trajectory"
    assert build(StreamRecipe, record, where="recipe") == along != recipe()
    del record["stacking"]
    assert build(StreamRecipe, record, where="recipe") == recipe()
