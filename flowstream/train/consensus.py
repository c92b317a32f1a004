"""Consensus functions of TSN, which combine the scores of several segments of a video."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from flowstream.plugins import Plugins

CONSENSUS: Plugins[Callable[[Tensor], Tensor]] = Plugins(
    "consensus",
    {
        "average": f"{__name__}:average",
        "max": f"{__name__}:maximum",
        "top_k": f"{__name__}:top_k",
    },
)
"""Functions from (N, S, K) scores of S segments to (N, K); TSN, arXiv:1608.00859, section 3.1."""


def average(scores: Tensor) -> Tensor:
    """Return the mean over the segments."""
    return scores.mean(dim=1)


def maximum(scores: Tensor) -> Tensor:
    """Return the largest score of each class."""
    return scores.amax(dim=1)


def top_k(scores: Tensor) -> Tensor:
    """Return the mean of the larger half of each class's scores."""
    count = max(1, scores.shape[1] // 2)
    return scores.topk(count, dim=1).values.mean(dim=1)
