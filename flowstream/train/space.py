"""Disk space of checkpoints, estimated from the shapes of a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.models.inspect.bounds import refuse_huge_tensors
from flowstream.models.inspect.describe import build_on_meta

if TYPE_CHECKING:
    from flowstream.train.recipe import StreamRecipe

_OPTIMISER_COPIES = {"sgd": 1, "adamw": 2}
"""Values that an optimiser keeps for each trained weight: momentum; first and second moment."""


def forecast_checkpoints(recipe: StreamRecipe, classes: int) -> tuple[int, int]:
    """Return the bytes of `best.pt` and of `last.pt` of a training by gradient descent.

    Both hold the weights. The last one also holds the state of the optimiser for the weights that
    are trained, and their running average if there is one.
    """
    with refuse_huge_tensors():
        network = build_on_meta(recipe.architecture, recipe.clip, classes)
    weights = sum(one.numel() * one.element_size() for one in network.state_dict().values())
    trained = network.head if recipe.layers == "head" else network
    copies = _OPTIMISER_COPIES[recipe.optimiser]
    if recipe.optimiser == "sgd" and not recipe.momentum:
        copies = 0
    state = copies * sum(one.numel() * one.element_size() for one in trained.parameters())
    average = weights if recipe.ema else 0
    return weights, weights + state + average
