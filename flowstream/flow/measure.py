"""How far an estimated flow field is from the truth: the field's usual measures.

Vectors of the truth that are unknown, by the conventions of the data sets, count in none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError
from flowstream.types import Vectors

UNKNOWN = 1e9
"""Middlebury's limit: components of at least this size say that a vector is unknown."""

OUTLIER_PIXELS = 3.0
OUTLIER_FRACTION = 0.05


def known(truth: Vectors) -> NDArray[np.bool_]:
    """Where the truth is known: no component is NaN, infinite or beyond Middlebury's limit.

    `read_flow` gives NaN for all of them, and where KITTI's valid channel is 0.

    Parameters
    ----------
    truth : (..., 2, H, W), float32
        Pixels.

    Returns
    -------
    (..., H, W), bool
    """
    mask: NDArray[np.bool_] = np.logical_and.reduce(np.abs(truth) < UNKNOWN, axis=-3)
    return mask


def end_point_error(estimate: Vectors, truth: Vectors) -> NDArray[np.float32]:
    """The length of the difference of two flow fields (EPE) at each pixel.

    Parameters
    ----------
    estimate, truth : (..., 2, H, W), float32
        Pixels; unknown vectors of the truth are allowed.

    Returns
    -------
    (..., H, W), float32
        Pixels; NaN where the truth is unknown.

    Raises
    ------
    ShapeError
        If the two have not one shape `(..., 2, H, W)`.
    ParameterError
        If the estimate is not finite, or no vector of the truth is known.
    """
    mask, estimated, true = _compared(estimate, truth)
    errors = np.full(mask.shape, np.nan, np.float32)
    errors[mask] = _length(estimated - true)
    return errors


def average_end_point_error(estimate: Vectors, truth: Vectors) -> float:
    """The mean of `end_point_error` over the known pixels, in pixels; same errors."""
    _, estimated, true = _compared(estimate, truth)
    return float(_length(estimated - true).mean())


def average_angular_error(estimate: Vectors, truth: Vectors) -> float:
    """The mean angle between the space-time directions (dx, dy, 1) of two fields, in degrees.

    Weighs an error of a small motion more than the same error of a large one.

    Parameters
    ----------
    estimate, truth : (..., 2, H, W), float32
        Pixels per frame step; unknown vectors of the truth are left out.

    Raises
    ------
    ShapeError, ParameterError
        As `end_point_error`.

    References
    ----------
    J. L. Barron, D. J. Fleet, S. S. Beauchemin, "Performance of Optical Flow Techniques",
    IJCV 1994, section 4.1. doi:10.1007/BF01420984
    """
    _, estimated, true = _compared(estimate, truth)
    (u, v), (true_u, true_v) = estimated, true
    cosine = u * true_u + v * true_v + 1
    # |a x b| rather than the arc cosine, which has no digits left near 0 degrees
    sine = np.sqrt((v - true_v) ** 2 + (true_u - u) ** 2 + (u * true_v - v * true_u) ** 2)
    return float(np.degrees(np.arctan2(sine, cosine)).mean())


def fl_all(estimate: Vectors, truth: Vectors) -> float:
    """KITTI's outliers: known pixels off by more than 3 px and 5 % of the truth, in per cent.

    Parameters
    ----------
    estimate, truth : (..., 2, H, W), float32
        Pixels; unknown vectors of the truth are left out.

    Raises
    ------
    ShapeError, ParameterError
        As `end_point_error`.

    References
    ----------
    M. Menze, A. Geiger, "Object Scene Flow for Autonomous Vehicles", CVPR 2015.
    doi:10.1109/CVPR.2015.7298925
    """
    _, estimated, true = _compared(estimate, truth)
    errors = _length(estimated - true)
    outliers = (errors > OUTLIER_PIXELS) & (errors > OUTLIER_FRACTION * _length(true))
    return float(100 * outliers.mean())


def percentiles(
    values: NDArray[np.floating], *, at: Sequence[float] = (50, 90, 95, 99)
) -> dict[float, float]:
    """Percentiles of a map of errors or speeds, NaN left out: `{50: median, 90: ...}`.

    Interpolated linearly between the nearest ranks.

    Raises
    ------
    ParameterError
        If no value is left, or a percentile is outside 0 to 100.
    """
    for percent in at:
        if not 0 <= percent <= 100:
            raise ParameterError(f"percentile: got {percent!r}, expected 0 to 100")
    left = values[~np.isnan(values)]
    if not left.size:
        raise ParameterError(f"percentiles: none of {values.size} values is known")
    return dict(zip(at, np.percentile(left, at).tolist(), strict=True))


def _compared(
    estimate: Vectors, truth: Vectors
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """The mask of known pixels `(..., H, W)`, and both fields' vectors there, `(2, P)`."""
    if truth.ndim < 3 or truth.shape[-3] != 2:
        raise ShapeError(f"truth: got shape {truth.shape}, expected (..., 2, H, W)")
    if estimate.shape != truth.shape:
        raise ShapeError(
            f"estimate: got shape {estimate.shape}, expected {truth.shape} as the truth"
        )
    finite = np.isfinite(estimate)
    if not finite.all():
        raise ParameterError(
            f"estimate: {int((~finite).sum())} of {estimate.size} flow values are not finite"
        )
    mask = known(truth)
    if not mask.any():
        raise ParameterError(f"truth: none of {mask.size} vectors is known")
    estimated, true = (
        np.moveaxis(field, -3, 0)[:, mask].astype(np.float64) for field in (estimate, truth)
    )
    return mask, estimated, true


def _length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.hypot(vectors[0], vectors[1])
    return lengths
