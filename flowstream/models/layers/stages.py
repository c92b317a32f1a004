"""Stages of an image network: the parts between two halvings of the image."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call

_PROBE = 224


def find_stages(network: nn.Module, *, channels: int) -> list[list[nn.Module]]:
    """Return the parts with own parameters, grouped by the number of halvings of the image.

    The first group computes maps of half the size or more, the next of a quarter, and so on. Parts
    after the last maps, the classifier, are in the last group. The network runs once, on an
    image of 224 x 224 without values, so this costs almost nothing. A network that does not change
    the size, such as a vision transformer, is divided into four groups of equally many parts.

    Parameters
    ----------
    network : torch.nn.Module
        From (N, C, H, W) images.
    channels : int
        Number of channels C.
    """
    order: dict[nn.Module, int] = {}
    stage = 0

    def record(part: nn.Module, _: object, output: object) -> None:
        nonlocal stage
        # 1 x 1 maps belong to channel attention or to the end; they do not start a stage
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
            stage = max(stage, round(math.log2(_PROBE / output.shape[-1])) - 1)
        order.setdefault(part, stage)

    parts = [part for part in network.modules() if any(True for _ in part.parameters(False))]
    handles = [part.register_forward_hook(record) for part in parts]
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    empty = {name: torch.empty_like(value, device="meta") for name, value in state.items()}
    training = {part: part.training for part in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            functional_call(
                network, empty, (torch.empty(1, channels, _PROBE, _PROBE, device="meta"),)
            )
    finally:
        for handle in handles:
            handle.remove()
        for part, mode in training.items():
            part.training = mode
    groups = max(order.values()) + 1
    if groups < 3:
        parts = list(order)
        order = {part: 4 * index // len(parts) for index, part in enumerate(parts)}
        groups = 4
    return [[part for part, own in order.items() if own == index] for index in range(groups)]


def freeze_stages(stages: Iterable[Iterable[nn.Module]]) -> None:
    """Exclude the parameters of stages from training; replace nothing.

    Batch norms of these stages keep their statistics only if partial BN has fixed them.
    """
    for stage in stages:
        for part in stage:
            for parameter in part.parameters(recurse=False):
                parameter.requires_grad_(False)
