"""Flow of a homography, and removal of camera motion from a field.

A camera that rotates about its centre or zooms moves a point from p = (x, y) in the first frame to
H p in the second, independent of its distance. H is a 3 x 3 homography of (x, y, 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flowstream.errors import ParameterError, ShapeError
from flowstream.flow.motion.checks import check_field
from flowstream.types import Size, Vectors

Doubles = NDArray[np.float64]


def homography_field(homography: ArrayLike, size: Size) -> Vectors:
    """Return the flow of a static scene seen by a moving camera, H p - p.

    Parameters
    ----------
    homography : (3, 3)
        Map from pixels of the first frame to pixels of the second frame.
    size : (rows, columns)
        Size of the field.

    Returns
    -------
    (2, rows, columns), float32
        dx right, dy down, in pixels.

    Raises
    ------
    ShapeError
        If `homography` is not (3, 3), or a side of `size` is below 1.
    ParameterError
        If the homography has no inverse, or maps a pixel to infinity or beyond.
    """
    if min(size) < 1:
        raise ShapeError(f"size: expected at least 1 row and 1 column, got {tuple(size)}")
    return with_camera(np.zeros((2, *size), np.float32), homography)


def residual(vectors: Vectors, homography: ArrayLike) -> Vectors:
    """Remove the camera motion from a field; the result is known as warped flow.

    Wang & Schmid 2013 stabilise the second frame, S(p) = second(H p), and estimate the flow r from
    the first frame to S. This function computes r from the flow w between the original frames,
    without a second estimation: S(p + r) = second(H (p + r)) equals second(p + w) if
    H (p + r) = p + w, so

        r(p) = inverse(H) (p + w(p)) - p.

    The result is 0 where w is the camera motion, H p - p. For an object that moves by m in the
    coordinates of the first frame, and appears at H (p + m) in the second, it is exactly m. The
    difference w - (H p - p) would be m rotated and scaled by the camera.

    Parameters
    ----------
    vectors : (2, H, W), float32
        The flow w: dx right, dy down, in pixels; NaN where unknown.
    homography : (3, 3)
        Map from pixels of the first frame to pixels of the second frame.

    Returns
    -------
    (2, H, W), float32
        The residual flow r. `with_camera` is the inverse operation.

    Raises
    ------
    ShapeError
        If `vectors` is not a single field, or `homography` is not (3, 3).
    ParameterError
        If the homography has no inverse, or its inverse maps the end of a vector to infinity or
        beyond.

    References
    ----------
    H. Wang, C. Schmid, "Action Recognition with Improved Trajectories", ICCV 2013, section 3.
    doi:10.1109/ICCV.2013.441
    """
    return _map_ends(vectors, np.linalg.inv(_check_homography(homography)).astype(np.float64))


def with_camera(vectors: Vectors, homography: ArrayLike) -> Vectors:
    """Add camera motion to a residual field; the inverse of `residual`.

    The result is H (p + r(p)) - p. Errors are those of `residual`.

    Parameters
    ----------
    vectors : (2, H, W), float32
        The residual flow r, as returned by `residual`.
    homography : (3, 3)
        Map from pixels of the first frame to pixels of the second frame.

    Returns
    -------
    (2, H, W), float32
        The flow between the original frames, in pixels.
    """
    return _map_ends(vectors, _check_homography(homography))


def project(homography: Doubles, points: Doubles) -> Doubles:
    """Map points `(2, ...)` by a homography; the result is NaN at infinity or beyond."""
    x, y = points
    rows = [row[0] * x + row[1] * y + row[2] for row in homography / homography[2, 2]]
    depth = np.where(rows[2] > 0, rows[2], np.nan)
    return np.stack([rows[0] / depth, rows[1] / depth])


def _map_ends(vectors: Vectors, homography: Doubles) -> Vectors:
    """Return the field from p to `homography` (p + vectors)."""
    check_field(vectors, axes=3)
    y, x = np.indices(vectors.shape[1:], np.float64)
    grid = np.stack([x, y])
    ends = project(homography, grid + vectors)
    if (np.isnan(ends) & ~np.isnan(vectors)).any():
        raise ParameterError(
            f"homography: expected one that keeps the pixels of a {vectors.shape[2]}x"
            f"{vectors.shape[1]} frame finite, got {homography.tolist()}"
        )
    mapped: Vectors = (ends - grid).astype(np.float32)
    return mapped


def _check_homography(homography: ArrayLike) -> Doubles:
    matrix = np.asarray(homography, np.float64)
    if matrix.shape != (3, 3):
        raise ShapeError(f"homography: expected shape (3, 3), got {matrix.shape}")
    regular = np.isfinite(matrix).all() and matrix[2, 2] != 0
    if not regular or abs(np.linalg.det(matrix / matrix[2, 2])) < 1e-9:
        raise ParameterError(f"homography: expected an invertible matrix, got {matrix.tolist()}")
    return matrix
