"""Mixing of two videos of a batch (mixup and cutmix), and dropout of whole streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flowstream.train.recipe import StreamRecipe


@dataclass(frozen=True, eq=False)
class Mixed:
    """A batch in which each video is mixed with another one.

    The loss is `share` times the loss for `labels`, plus `1 - share` times the loss for `others`.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    others: Tensor
    share: float


def mix_batch(
    recipe: StreamRecipe,
    inputs: dict[str, Tensor],
    labels: Tensor,
    *,
    generator: np.random.Generator,
) -> Mixed:
    """Mix the videos of a batch in pairs with the parameters of the recipe.

    If the recipe has both mixup and cutmix, one of them is drawn for each batch. All inputs and
    segments of a video are mixed in the same way. Flow vectors are mixed like other values, because
    they are additive.
    """
    kinds = [name for name in ("mixup", "cutmix") if getattr(recipe, name)]
    if not kinds or len(labels) < 2:
        return Mixed(inputs, labels, labels, 1.0)
    kind = kinds[int(generator.integers(len(kinds)))]
    strength = getattr(recipe, kind)
    share = float(generator.beta(strength, strength))
    partner = torch.from_numpy(generator.permutation(len(labels))).to(labels.device)
    if kind == "mixup":
        mixed = {
            name: values * share + values[partner] * (1 - share) for name, values in inputs.items()
        }
        return Mixed(mixed, labels, labels[partner], share)
    rows, columns = next(iter(inputs.values())).shape[-2:]
    side = np.sqrt(1 - share)
    middle = generator.integers(rows), generator.integers(columns)
    (top, bottom), (left, right) = (
        (max(0, round(at - length * side / 2)), min(length, round(at + length * side / 2)))
        for at, length in zip(middle, (rows, columns), strict=True)
    )
    mixed = {}
    for name, values in inputs.items():
        copy = values.clone()
        copy[..., top:bottom, left:right] = values[partner][..., top:bottom, left:right]
        mixed[name] = copy
    share = 1 - (bottom - top) * (right - left) / (rows * columns)
    return Mixed(mixed, labels, labels[partner], share)


def drop_streams(
    inputs: dict[str, Tensor], probability: float, generator: np.random.Generator
) -> dict[str, Tensor]:
    """Set one input of some videos to zero, so that a network does not rely on one stream alone.

    With `probability`, one input of a video is set to zero; all inputs are equally likely. Zero is
    the mean colour of RGB, and means no motion in flow.
    """
    if probability == 0 or len(inputs) < 2:
        return inputs
    count = len(next(iter(inputs.values())))
    chosen = generator.integers(len(inputs), size=count)
    chosen[generator.random(count) >= probability] = -1  # those that lose none
    dropped = {}
    for index, (name, values) in enumerate(inputs.items()):
        kept = torch.from_numpy(chosen != index).to(values.device, values.dtype)
        dropped[name] = values * kept.view(-1, *[1] * (values.ndim - 1))
    return dropped
