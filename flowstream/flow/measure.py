"""Standard error measures of an estimated flow field against ground truth.

The measures ignore unknown ground truth vectors, which follow the conventions of the datasets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError
from flowstream.types import Vectors

UNKNOWN = 1e9
"""Middlebury's limit: a vector with a component of at least this magnitude is unknown."""

OUTLIER_PIXELS = 3.0
OUTLIER_FRACTION = 0.05


def known(truth: Vectors) -> NDArray[np.bool_]:
    """Return a mask of the known ground truth vectors.

    A vector is unknown if a component is NaN, infinite or beyond Middlebury's limit. `read_flow`
    returns NaN for these vectors and where KITTI's valid channel is 0.

    Parameters
    ----------
    truth : (..., 2, H, W), float32
        Ground truth in pixels.

    Returns
    -------
    (..., H, W), bool
        True where the vector is known.
    """
    mask: NDArray[np.bool_] = np.logical_and.reduce(np.abs(truth) < UNKNOWN, axis=-3)
    return mask


def end_point_error(estimate: Vectors, truth: Vectors) -> NDArray[np.float32]:
    """Return the end-point error (EPE) at each pixel.

    The error is the length of the difference of the two vectors.

    Parameters
    ----------
    estimate, truth : (..., 2, H, W), float32
        Vectors in pixels; `truth` may have unknown vectors.

    Returns
    -------
    (..., H, W), float32
        Error in pixels; NaN where the ground truth is unknown.

    Raises
    ------
    ShapeError
        If the two fields do not have the same shape `(..., 2, H, W)`.
    ParameterError
        If the estimate is not finite, or all vectors of the ground truth are unknown.
    """
    mask, estimated, true = _select_known(estimate, truth)
    errors = np.full(mask.shape, np.nan, np.float32)
    errors[mask] = _compute_lengths(estimated - true)
    return errors


def average_end_point_error(estimate: Vectors, truth: Vectors) -> float:
    """Return the mean of `end_point_error` over the known pixels, in pixels.

    Parameters and errors are those of `end_point_error`.
    """
    _, estimated, true = _select_known(estimate, truth)
    return float(_compute_lengths(estimated - true).mean())


def average_angular_error(estimate: Vectors, truth: Vectors) -> float:
    """Return the mean angular error of a field, in degrees.

    It is the angle between the space-time directions (dx, dy, 1) of the two fields. An error of a
    small motion has a larger weight than the same error of a large motion.

    Parameters
    ----------
    estimate, truth : (..., 2, H, W), float32
        Vectors in pixels per frame step; unknown ground truth vectors are ignored.

    Raises
    ------
    ShapeError, ParameterError
        Under the conditions of `end_point_error`.

    References
    ----------
    J. L. Barron, D. J. Fleet, S. S. Beauchemin, "Performance of Optical Flow Techniques",
    IJCV 1994, section 4.1. doi:10.1007/BF01420984
    """
    _, estimated, true = _select_known(estimate, truth)
    (u, v), (true_u, true_v) = estimated, true
    cosine = u * true_u + v * true_v + 1
    # |a x b| instead of the arc cosine, which loses all precision near 0 degrees
    sine = np.sqrt((v - true_v) ** 2 + (true_u - u) ** 2 + (u * true_v - v * true_u) ** 2)
    return float(np.degrees(np.arctan2(sine, cosine)).mean())


def fl_all(estimate: Vectors, truth: Vectors) -> float:
    """Return KITTI's outlier rate in percent.

    An outlier is a known pixel with an error above 3 px and above 5 % of the length of the ground
    truth vector.

    Parameters
    ----------
    estimate, truth : (..., 2, H, W), float32
        Vectors in pixels; unknown ground truth vectors are ignored.

    Raises
    ------
    ShapeError, ParameterError
        Under the conditions of `end_point_error`.

    References
    ----------
    M. Menze, A. Geiger, "Object Scene Flow for Autonomous Vehicles", CVPR 2015.
    doi:10.1109/CVPR.2015.7298925
    """
    _, estimated, true = _select_known(estimate, truth)
    errors = _compute_lengths(estimated - true)
    outliers = (errors > OUTLIER_PIXELS) & (errors > OUTLIER_FRACTION * _compute_lengths(true))
    return float(100 * outliers.mean())


def percentiles(
    values: NDArray[np.floating], *, at: Sequence[float] = (50, 90, 95, 99)
) -> dict[float, float]:
    """Return percentiles of a map of errors or speeds as `{50: median, 90: ...}`.

    NaN is ignored. Percentiles are interpolated linearly between the nearest ranks.

    Raises
    ------
    ParameterError
        If all values are NaN, or a percentile is outside 0 to 100.
    """
    for percent in at:
        if not 0 <= percent <= 100:
            raise ParameterError(f"percentile: expected 0 to 100, got {percent!r}")
    known_values = values[~np.isnan(values)]
    if not known_values.size:
        raise ParameterError(
            f"percentiles: expected at least one known value, got {values.size} unknown values"
        )
    return dict(zip(at, np.percentile(known_values, at).tolist(), strict=True))


def _select_known(
    estimate: Vectors, truth: Vectors
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mask `(..., H, W)` of known pixels and both fields there, `(2, P)`."""
    if truth.ndim < 3 or truth.shape[-3] != 2:
        raise ShapeError(f"truth: expected shape (..., 2, H, W), got {truth.shape}")
    if estimate.shape != truth.shape:
        raise ShapeError(
            f"estimate: expected shape {truth.shape} like the truth, got {estimate.shape}"
        )
    finite = np.isfinite(estimate)
    if not finite.all():
        raise ParameterError(
            f"estimate: expected finite values, got {int((~finite).sum())} of {estimate.size} "
            "that are NaN or infinite"
        )
    mask = known(truth)
    if not mask.any():
        raise ParameterError(
            f"truth: expected at least one known vector, got {mask.size} unknown vectors"
        )
    estimated, true = (
        np.moveaxis(field, -3, 0)[:, mask].astype(np.float64) for field in (estimate, truth)
    )
    return mask, estimated, true


def _compute_lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.hypot(vectors[0], vectors[1])
    return lengths
