"""The motion that a homography gives every pixel, and flow without it.

A camera that turns about its centre, or zooms, moves what is at p = (x, y) of the first frame to
H p of the second, H a 3 x 3 homography of (x, y, 1), whatever its distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flowstream.errors import ParameterError, ShapeError
from flowstream.flow.motion.checks import check_field
from flowstream.types import Size, Vectors

Doubles = NDArray[np.float64]


def homography_field(homography: ArrayLike, size: Size) -> Vectors:
    """The flow of a scene that stands still, seen by a camera that moves: H p - p.

    Parameters
    ----------
    homography : (3, 3)
        From pixels of the first frame to pixels of the second.
    size : (rows, columns)

    Returns
    -------
    (2, rows, columns), float32
        dx right, dy down, pixels.

    Raises
    ------
    ShapeError
        If `homography` is not (3, 3), or a side is below 1.
    ParameterError
        If it has no inverse, or takes a pixel to infinity or beyond.
    """
    if min(size) < 1:
        raise ShapeError(f"size: got {tuple(size)}, expected at least 1 row and column")
    return with_camera(np.zeros((2, *size), np.float32), homography)


def residual(vectors: Vectors, homography: ArrayLike) -> Vectors:
    """Flow with the camera's motion taken out: "warped flow".

    Wang & Schmid 2013 stabilise the second frame, S(p) = second(H p), and take the flow r from the
    first frame to it. That flow needs no second estimation: with w the flow between the frames as
    they are, S(p + r) = second(H (p + r)) shows what second(p + w) shows if H (p + r) = p + w, so

        r(p) = inverse(H) (p + w(p)) - p.

    It is 0 wherever w is the camera's motion, H p - p, and exactly the motion m of an object that
    moves by m in the first frame's picture and is then seen by the moved camera, at H (p + m). The
    plain difference w - (H p - p) would show that motion turned and scaled by the camera.

    Parameters
    ----------
    vectors : (2, H, W), float32
        w: dx right, dy down, pixels; NaN where unknown.
    homography : (3, 3)
        From pixels of the first frame to pixels of the second.

    Returns
    -------
    (2, H, W), float32
        r. `with_camera` gives w back.

    Raises
    ------
    ShapeError
        If `vectors` is not one field, or `homography` not (3, 3).
    ParameterError
        If it has no inverse, or its inverse takes the end of a vector to infinity or beyond.

    References
    ----------
    H. Wang, C. Schmid, "Action Recognition with Improved Trajectories", ICCV 2013, section 3.
    doi:10.1109/ICCV.2013.441
    """
    return _moved(vectors, np.linalg.inv(_checked(homography)).astype(np.float64))


def with_camera(vectors: Vectors, homography: ArrayLike) -> Vectors:
    """Flow with the camera's motion put in again: H (p + r(p)) - p, the inverse of `residual`.

    Parameters
    ----------
    vectors : (2, H, W), float32
        r, as `residual` gives it.
    homography : (3, 3)

    Returns
    -------
    (2, H, W), float32
        The flow between the frames as they are; raises as `residual`.
    """
    return _moved(vectors, _checked(homography))


def project(homography: Doubles, points: Doubles) -> Doubles:
    """Where a homography takes points (2, ...); NaN where that is infinity or beyond."""
    x, y = points
    rows = [row[0] * x + row[1] * y + row[2] for row in homography / homography[2, 2]]
    depth = np.where(rows[2] > 0, rows[2], np.nan)
    return np.stack([rows[0] / depth, rows[1] / depth])


def _moved(vectors: Vectors, homography: Doubles) -> Vectors:
    """The field from p to `homography` (p + vectors)."""
    check_field(vectors, axes=3)
    y, x = np.indices(vectors.shape[1:], np.float64)
    grid = np.stack([x, y])
    ends = project(homography, grid + vectors)
    if (np.isnan(ends) & ~np.isnan(vectors)).any():
        raise ParameterError(
            f"homography: got {homography.tolist()}, which takes pixels of a "
            f"{vectors.shape[2]}x{vectors.shape[1]} frame to infinity or beyond"
        )
    moved: Vectors = (ends - grid).astype(np.float32)
    return moved


def _checked(homography: ArrayLike) -> Doubles:
    matrix = np.asarray(homography, np.float64)
    if matrix.shape != (3, 3):
        raise ShapeError(f"homography: got shape {matrix.shape}, expected (3, 3)")
    regular = np.isfinite(matrix).all() and matrix[2, 2] != 0
    if not regular or abs(np.linalg.det(matrix / matrix[2, 2])) < 1e-9:
        raise ParameterError(f"homography: got {matrix.tolist()}, expected one with an inverse")
    return matrix
