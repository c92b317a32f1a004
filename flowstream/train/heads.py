"""Several heads in one last layer, one for the classes of each dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def mask_other_heads(scores: Tensor, labels: Tensor, heads: Sequence[int]) -> Tensor:
    """Return scores (N, K) whose classes of other heads than that of the label are -inf.

    The softmax of each video then covers only the classes of its own dataset, so the last layer
    has one head per dataset (Simonyan & Zisserman 2014, arXiv:1406.2199, section 3.3).

    Parameters
    ----------
    scores : (N, K)
    labels : (N,)
    heads : sequence of int
        Number of classes of each head, in their order; with fewer than two heads, nothing is
        masked.
    """
    if len(heads) < 2:
        return scores
    numbers = torch.arange(len(heads), device=scores.device)
    head = numbers.repeat_interleave(torch.tensor(heads, device=scores.device))  # (K,)
    return scores.masked_fill(head != head[labels].unsqueeze(1), -math.inf)


def keep_first_head(
    probabilities: NDArray[np.float32], heads: Sequence[int]
) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of the classes of the first head."""
    if len(heads) < 2:
        return probabilities
    first = np.maximum(probabilities[:, : heads[0]], np.finfo(np.float32).tiny)
    kept: NDArray[np.float32] = first / first.sum(axis=1, keepdims=True)
    return kept
