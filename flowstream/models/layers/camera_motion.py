"""Motion of the camera in a flow field, estimated from the field itself."""

from __future__ import annotations

import torch
from torch import Tensor

from flowstream.models.layers.export import compute_median, solve_positive

_ITERATIONS = 8
_SPACING = 4  # pixels between the vectors that are used: 1,200 of a 120 x 160 field
_SMALLEST_SCALE = 0.2  # pixels; more than the rounding of the 8-bit codecs


def estimate_camera_motion(fields: Tensor) -> Tensor:
    """Estimate the affine motion that most vectors of each field follow.

    Iteratively reweighted least squares with the weights of Geman & McClure; the scale is the
    median of the residuals. What moves by itself is an outlier, as long as it covers less than
    half of the frame.

    Parameters
    ----------
    fields : (N, 2, H, W)
        dx right, dy down, in pixels.

    Returns
    -------
    (N, 2, H, W)
        The affine motion at each pixel.
    """
    rows, columns = fields.shape[2:]
    first = min(_SPACING // 2, rows - 1), min(_SPACING // 2, columns - 1)
    vectors = fields[:, :, first[0] :: _SPACING, first[1] :: _SPACING].flatten(2).transpose(1, 2)
    every = _affine_terms(rows, columns, fields)  # (H, W, 3)
    terms = every[first[0] :: _SPACING, first[1] :: _SPACING].flatten(0, 1)  # (P, 3)
    # a little regularisation of the slopes: fields may be tiny, or all of one weight
    ridge = torch.diag(torch.tensor([1e-6, 1e-3, 1e-3], dtype=fields.dtype, device=fields.device))
    median = compute_median(vectors, 1)
    motion = torch.stack([median, 0 * median, 0 * median], dim=1)  # (N, 3, 2)
    for _ in range(_ITERATIONS):
        residual = (vectors - terms @ motion).square().sum(dim=2).sqrt()  # (N, P)
        scale = compute_median(residual, 1).clamp(min=_SMALLEST_SCALE).unsqueeze(1)
        weight = (1 + (residual / scale).square()).square().reciprocal()
        weighted = (terms * weight.unsqueeze(2)).transpose(1, 2)  # (N, 3, P)
        motion = solve_positive(weighted @ terms + ridge, weighted @ vectors)
    return torch.einsum("hwk,nkc->nchw", every, motion)


def _affine_terms(rows: int, columns: int, like: Tensor) -> Tensor:
    """Return (H, W, 3): one, and the position from the centre in frame widths."""
    down = (torch.arange(rows, dtype=like.dtype, device=like.device) - rows / 2) / columns
    right = (torch.arange(columns, dtype=like.dtype, device=like.device) - columns / 2) / columns
    grid = torch.meshgrid(down, right, indexing="ij")
    return torch.stack([torch.ones_like(grid[0]), grid[1], grid[0]], dim=2)
