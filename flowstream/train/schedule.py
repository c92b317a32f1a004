"""The learning rate and the optimiser of a recipe."""

from __future__ import annotations

import math

from torch import nn, optim

from flowstream.train.recipe import StreamRecipe


def learning_rate(recipe: StreamRecipe, epoch: float) -> float:
    """The learning rate at a moment of training.

    Parameters
    ----------
    epoch : float
        0 at the start, `recipe.epochs` at the end.
    """
    if epoch < recipe.warm_up:
        return recipe.learning_rate * epoch / recipe.warm_up
    if recipe.schedule == "step":
        passed = sum(epoch >= milestone for milestone in recipe.milestones)
        return recipe.learning_rate * recipe.gamma**passed
    done = (epoch - recipe.warm_up) / (recipe.epochs - recipe.warm_up)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def make_optimiser(recipe: StreamRecipe, model: nn.Module) -> optim.Optimizer:
    """The optimiser of what is to be trained; weights decay, norms and biases do not."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "adamw":
        return optim.AdamW(groups, lr=recipe.learning_rate)
    return optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )
