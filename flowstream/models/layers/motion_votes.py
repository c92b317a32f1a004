"""Votes of flow vectors and of motion boundaries for orientations, before any cells."""

from __future__ import annotations

import torch
from torch import Tensor

from flowstream.models.layers.orientation import (
    compute_gradient,
    mirror_orientations,
    vote_orientations,
)

BINS = 8
FLOW_PARTS = (BINS + 1, BINS, BINS)
"""Number of planes of HOF with its bin of still pixels, of MBHx and of MBHy."""


def vote_motion(fields: Tensor, *, still: float) -> list[Tensor]:
    """Return the votes (N, bins, H, W) of fields (N, 2, H, W) for HOF, MBHx and MBHy.

    HOF has one plane more: 1 where a vector is shorter than `still` pixels (Wang & Schmid 2013,
    doi:10.1109/ICCV.2013.441).
    """
    # a smooth step would do, too; the comparison is written so that NaN stays NaN
    moving = (fields.square().sum(dim=1, keepdim=True) - still**2).sign().clamp(min=0)
    flow = torch.cat([vote_orientations(fields, BINS) * moving, 1 - moving], dim=1)
    return [flow, *vote_boundaries(fields)]


def vote_boundaries(images: Tensor) -> list[Tensor]:
    """Return the votes (N, bins, H, W) of the gradients of each channel of (N, C, H, W)."""
    return [vote_orientations(compute_gradient(one), BINS) for one in images.unbind(1)]


def mirror_votes(part: Tensor, *, negate: str) -> Tensor:
    """Return a histogram (..., bins, rows, columns) of the mirrored clip.

    Mirrored flow has dx negated; so d(dx)/dx keeps its sign and d(dx)/dy changes it, while
    d(dy)/dx changes it and d(dy)/dy keeps it. A ninth plane, that of still pixels, stays.
    """
    turned = mirror_orientations(part.narrow(-3, 0, BINS), negate=negate)
    return torch.cat([turned, part.narrow(-3, BINS, part.shape[-3] - BINS).flip(-1)], dim=-3)
