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
        "weighted": f"{__name__}:weighted",
        "attention": f"{__name__}:attention",
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


def weighted(scores: Tensor) -> Tensor:
    """Return the mean weighted by the confidence of each segment, its highest probability.

    A segment that does not show the class, such as a title, has a low confidence.
    """
    weights = scores.softmax(dim=2).amax(dim=2, keepdim=True)
    return (weights * scores).sum(dim=1) / weights.sum(dim=1)


def attention(scores: Tensor) -> Tensor:
    """Return the mean weighted by attention, the softmax of the agreement of segments.

    The agreement is the scaled dot product (Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1)
    of the centred scores of each segment with their mean. It has no parameters, so the number of
    segments can be any.
    """
    centred = scores - scores.mean(dim=2, keepdim=True)
    query = centred.mean(dim=1, keepdim=True)
    products = (centred * query).sum(dim=2, keepdim=True) / scores.shape[2] ** 0.5
    mean: Tensor = (products.softmax(dim=1) * scores).sum(dim=1)
    return mean
