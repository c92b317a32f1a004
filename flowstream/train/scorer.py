"""A model, called with the inputs of items by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from flowstream.models.model import Classifier, PairClassifier

Inputs: TypeAlias = Mapping[str, Tensor]
"""Tensors of a batch by the name of the input, each (N, C, T, H, W)."""


class Scorer(nn.Module):
    """Network from the inputs of a batch, by name, to scores."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the (N, K) scores of inputs that are each (N, C, T, H, W)."""
        if isinstance(self.model, PairClassifier):
            scores: Tensor = self.model(inputs["rgb"], inputs["flow"])
        else:
            (clips,) = inputs.values()
            scores = self.model(clips)
        return scores


def move(inputs: Inputs, device: torch.device) -> dict[str, Tensor]:
    """Return the inputs on a device."""
    return {name: values.to(device, non_blocking=True) for name, values in inputs.items()}


def flatten_views(inputs: Inputs) -> tuple[dict[str, Tensor], int]:
    """Return inputs (N, V, C, T, H, W) as (N V, C, T, H, W), and V; others as they are, and 1."""
    first = next(iter(inputs.values()))
    if first.ndim == 5:
        return dict(inputs), 1
    return {name: values.flatten(0, 1) for name, values in inputs.items()}, first.shape[1]


def split_batch(inputs: Inputs, size: int) -> list[dict[str, Tensor]]:
    """Return the inputs in parts of at most `size` clips."""
    parts = [torch.split(values, size) for values in inputs.values()]
    return [dict(zip(inputs, part, strict=True)) for part in zip(*parts, strict=True)]
