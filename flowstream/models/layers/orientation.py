"""Histograms of the orientations of vectors in the cells of a grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def vote_orientations(vectors: Tensor, bins: int) -> Tensor:
    """Return the votes (N, bins, H, W) of vectors (N, 2, H, W) for their orientation.

    A vector votes with its length, shared by the two nearest bins in proportion to the distance
    (Dalal et al. 2006, doi:10.1007/11744047_33). Bin 0 points right, the next ones turn towards
    down.
    """
    length = vectors.square().sum(dim=1, keepdim=True).sqrt()
    angle = torch.atan2(vectors[:, 1:], vectors[:, :1]) * (bins / (2 * math.pi))
    centres = torch.arange(bins, dtype=vectors.dtype, device=vectors.device).view(1, bins, 1, 1)
    distance = torch.remainder(angle - centres + bins / 2, bins) - bins / 2
    return length * (1 - distance.abs()).clamp(min=0)


def compute_gradient(images: Tensor) -> Tensor:
    """Return (N, 2, H, W): the central differences of (N, H, W), 0 on the border."""
    right = (images[:, 1:-1, 2:] - images[:, 1:-1, :-2]) / 2
    down = (images[:, 2:, 1:-1] - images[:, :-2, 1:-1]) / 2
    return nn.functional.pad(torch.stack([right, down], dim=1), (1, 1, 1, 1))


def mirror_orientations(histograms: Tensor, *, negate: str) -> Tensor:
    """Return histograms (..., bins, rows, columns) of mirrored frames.

    Parameters
    ----------
    histograms : (..., bins, rows, columns)
    negate : "x" or "y"
        The component of the vectors that changes its sign when the frame is mirrored.
    """
    bins = histograms.shape[-3]
    turned = torch.arange(bins, device=histograms.device)
    source = (bins // 2 - turned) % bins if negate == "x" else (-turned) % bins
    return histograms.index_select(-3, source).flip(-1)
