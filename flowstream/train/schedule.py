"""The learning rate and the optimiser of a recipe."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from torch import nn, optim

from flowstream.models.model import Classifier
from flowstream.train.recipe import StreamRecipe


def learning_rate(recipe: StreamRecipe, epoch: float) -> float:
    """Return the learning rate at a moment of training.

    Parameters
    ----------
    recipe : StreamRecipe
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


def make_optimiser(recipe: StreamRecipe, model: Classifier) -> optim.Optimizer:
    """Return the optimiser of the parameters that are trained.

    Weight decay is applied to weights, but not to norms and biases. Each group has an entry
    `scale`, the factor of the learning rate of its layers.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    scales = _layer_scales(recipe, model)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups[scales[name], decay].append(parameter)
    tables: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": decay, "scale": scale}
        for (scale, decay), parameters in sorted(groups.items(), key=lambda entry: entry[0])
    ]
    if recipe.optimiser == "adamw":
        return optim.AdamW(tables, lr=recipe.learning_rate)
    return optim.SGD(
        tables,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )


def _layer_scales(recipe: StreamRecipe, model: Classifier) -> dict[str, float]:
    """Return the factor of the learning rate of each parameter, by name.

    The parameters of a block share the name up to its first number: `layer3.0`, `_blocks.5`.
    """
    head = {id(parameter) for parameter in model.head.parameters()}
    blocks: dict[str, int] = {}
    block_of: dict[str, int | None] = {}
    for name, parameter in model.named_parameters():
        words = name.split(".")
        end = next((i for i, word in enumerate(words) if word.isdigit()), len(words) - 2)
        block = ".".join(words[: end + 1])
        if id(parameter) in head:
            block_of[name] = None
        else:
            block_of[name] = blocks.setdefault(block, len(blocks))
    return {
        name: 1.0
        if block is None
        else recipe.backbone_rate * recipe.layer_decay ** (len(blocks) - block)
        for name, block in block_of.items()
    }
