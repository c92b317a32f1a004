"""Points followed through the fields of a video."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flowstream.errors import ShapeError
from flowstream.flow.motion.checks import check_field, check_same_shape
from flowstream.flow.motion.interpolation import inside, sample, sample_known
from flowstream.types import Vectors


def trajectories(fields: Iterable[Vectors], points: ArrayLike) -> NDArray[np.float32]:
    """Where points of the first frame are in each frame.

    Parameters
    ----------
    fields : L fields (2, H, W), float32
        Of successive frame steps, pixels: an array (L, 2, H, W), or anything that gives them one
        after the other, such as `Stack.fields()`.
    points : (P, 2)
        x and y in the first frame, pixels; anywhere between its pixels.

    Returns
    -------
    (L + 1, P, 2), float32
        x and y in each frame, by bilinear interpolation; NaN from the moment on at which a point
        is outside of the frame, or its motion is unknown.

    Raises
    ------
    ShapeError
        If `points` is not (P, 2), or the fields are none, or not of one shape (2, H, W).
    """
    place = np.array(points, np.float64)
    if place.ndim != 2 or place.shape[1] != 2:
        raise ShapeError(f"points: got shape {place.shape}, expected (P, 2): x and y of each")
    path: list[NDArray[np.float32]] = []
    shape: tuple[int, ...] | None = None
    for index, vectors in enumerate(fields):
        check_field(vectors, axes=3, name=f"field {index}")
        shape = shape or vectors.shape
        if vectors.shape != shape:
            raise ShapeError(f"field {index}: got shape {vectors.shape}, expected {shape}")
        path.append(_marked(place, shape[1:]))
        there = np.flatnonzero(~np.isnan(place[:, 0]))
        moved, known = sample_known(np.asarray(vectors, np.float32), *place[there].T)
        place[there] += np.where(known, moved, np.nan).T
    if shape is None:
        raise ShapeError("fields: got none, expected at least 1")
    return np.stack([*path, _marked(place, shape[1:])])


def along_trajectories(fields: Vectors, *, carried_by: Vectors | None = None) -> Vectors:
    """The motion that each pixel of the first frame meets on its way: trajectory stacking.

    Simonyan & Zisserman 2014 (arXiv:1406.2199), equation 2: field k is sampled at p_k, with p_1
    the pixel itself and p_k = p_(k-1) + field_(k-1)(p_(k-1)). The paper leaves open what a point
    meets that has left the frame: here the motion of the nearest point of the border, since zeros
    would look like rest.

    Parameters
    ----------
    fields : (L, 2, H, W), float32
        Of successive frame steps, pixels, all known.
    carried_by : (L, 2, H, W), float32 or None
        The flow that moves the points, where that is not `fields`: the flow between the frames as
        they are, where `fields` is without the camera's motion.

    Returns
    -------
    (L, 2, H, W), float32
        Field k where the trajectory of each pixel of the first frame is then; the first is as it
        was.

    Raises
    ------
    ShapeError
        If `fields` is not (L, 2, H, W), or `carried_by` of another shape.
    """
    check_field(fields, axes=4, name="fields")
    if carried_by is not None:
        check_same_shape(fields, carried_by, names=("fields", "carried_by"))
    rows, columns = fields.shape[2:]
    met = np.array(fields, np.float32)
    x = np.broadcast_to(np.arange(columns, dtype=np.float32), (rows, columns)).copy()
    y = np.repeat(np.arange(rows, dtype=np.float32)[:, None], columns, axis=1)
    for k in range(1, len(fields)):
        carrier = met[k - 1] if carried_by is None else sample(carried_by[k - 1], x, y)
        x += carrier[0]
        y += carrier[1]
        met[k] = sample(met[k], x, y)
    return met


def _marked(place: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float32]:
    """The places, after putting NaN for those that are outside of the frame."""
    rows, columns = size
    place[~inside(place[:, 0], place[:, 1], (rows, columns))] = np.nan
    return place.astype(np.float32)
