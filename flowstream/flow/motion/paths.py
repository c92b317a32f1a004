"""Trajectories of points through the fields of a video."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flowstream.errors import ShapeError
from flowstream.flow.motion.checks import check_field, check_same_shape
from flowstream.flow.motion.interpolation import is_inside, sample, sample_known
from flowstream.types import Vectors


def trajectories(fields: Iterable[Vectors], points: ArrayLike) -> NDArray[np.float32]:
    """Return the positions of points of the first frame in each frame.

    Parameters
    ----------
    fields : L fields (2, H, W), float32
        Fields of successive frame steps, in pixels: an array (L, 2, H, W) or any iterable, such as
        `Stack.fields()`.
    points : (P, 2)
        x and y in the first frame, in pixels; fractions are allowed.

    Returns
    -------
    (L + 1, P, 2), float32
        x and y in each frame, by bilinear interpolation. A point is NaN from the first frame in
        which it is outside of the frame or its motion is unknown.

    Raises
    ------
    ShapeError
        If `points` is not (P, 2), there are no fields, or the fields do not have the same shape
        (2, H, W).
    """
    positions = np.array(points, np.float64)
    if positions.ndim != 2 or positions.shape[1] != 2:
        raise ShapeError(
            f"points: expected shape (P, 2), x and y of each point, got {positions.shape}"
        )
    path: list[NDArray[np.float32]] = []
    shape: tuple[int, ...] | None = None
    for index, vectors in enumerate(fields):
        check_field(vectors, axes=3, name=f"field {index}")
        shape = shape or vectors.shape
        if vectors.shape != shape:
            raise ShapeError(
                f"field {index}: expected shape {shape} like field 0, got {vectors.shape}"
            )
        path.append(_mark_outside(positions, shape[1:]))
        visible = np.flatnonzero(~np.isnan(positions[:, 0]))
        moved, known = sample_known(np.asarray(vectors, np.float32), *positions[visible].T)
        positions[visible] += np.where(known, moved, np.nan).T
    if shape is None:
        raise ShapeError("fields: expected at least 1, got none")
    return np.stack([*path, _mark_outside(positions, shape[1:])])


def along_trajectories(fields: Vectors, *, carried_by: Vectors | None = None) -> Vectors:
    """Sample each field along the trajectories of the pixels of the first frame.

    This is trajectory stacking (Simonyan & Zisserman 2014, arXiv:1406.2199, equation 2): field k is
    sampled at p_k, where p_1 is the pixel itself and p_k = p_(k-1) + field_(k-1)(p_(k-1)). The
    paper does not define the motion of a point outside of the frame. This function uses the motion
    of the nearest border point, because zeros would look like a static point.

    Parameters
    ----------
    fields : (L, 2, H, W), float32
        Fields of successive frame steps, in pixels, without unknown vectors.
    carried_by : (L, 2, H, W), float32 or None
        Flow that moves the points; the default is `fields`. If the camera motion was removed from
        `fields`, pass the flow between the original frames here.

    Returns
    -------
    (L, 2, H, W), float32
        Field k at the positions of the trajectories in frame k; the first field is unchanged.

    Raises
    ------
    ShapeError
        If `fields` is not (L, 2, H, W), or `carried_by` has another shape.
    """
    check_field(fields, axes=4, name="fields")
    if carried_by is not None:
        check_same_shape(fields, carried_by, names=("fields", "carried_by"))
    rows, columns = fields.shape[2:]
    sampled = np.array(fields, np.float32)
    x = np.broadcast_to(np.arange(columns, dtype=np.float32), (rows, columns)).copy()
    y = np.repeat(np.arange(rows, dtype=np.float32)[:, None], columns, axis=1)
    for k in range(1, len(fields)):
        carrier = sampled[k - 1] if carried_by is None else sample(carried_by[k - 1], x, y)
        x += carrier[0]
        y += carrier[1]
        sampled[k] = sample(sampled[k], x, y)
    return sampled


def _mark_outside(positions: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Set positions outside of the frame to NaN in place and return them as float32."""
    rows, columns = size
    positions[~is_inside(positions[:, 0], positions[:, 1], (rows, columns))] = np.nan
    return positions.astype(np.float32)
