"""Interpolation of images and fields between pixels, with unknown values.

`cv2.remap` is not used, because before OpenCV 5 it rounds positions to 1/32 pixel.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flowstream.types import Size, Vectors

Interpolation = Literal["bilinear", "bicubic"]

Floats = NDArray[np.floating[Any]]
Planes = NDArray[np.float32]
Mask = NDArray[np.bool_]

BLOCK = 1 << 14
"""Number of points per block; a block fits in the cache, which is twice as fast."""


def targets(vectors: Vectors) -> tuple[Planes, Planes]:
    """Return the x and y, each `(H, W)`, to which each pixel of a field moves."""
    rows, columns = vectors.shape[1:]
    x = np.arange(columns, dtype=np.float32) + vectors[0]
    y = np.arange(rows, dtype=np.float32)[:, None] + vectors[1]
    return x, y


def is_inside(x: Floats, y: Floats, size: Size) -> Mask:
    """Return a mask of the positions inside a frame; NaN is outside."""
    found: Mask = (x >= 0) & (x <= size[1] - 1) & (y >= 0) & (y <= size[0] - 1)
    return found


def sample(
    planes: Planes, x: Floats, y: Floats, *, interpolation: Interpolation = "bilinear"
) -> Planes:
    """Interpolate `(C, H, W)` planes at points of any shape P; return `(C, *P)`.

    Positions must be finite. A position outside of the frame has the value of the nearest border
    point.
    """
    rows, columns = planes.shape[1:]
    flat = np.ascontiguousarray(planes).reshape(len(planes), -1)
    between = _bilinear if interpolation == "bilinear" else _bicubic
    values = np.empty((len(planes), x.size), np.float32)
    for start in range(0, x.size, BLOCK):
        part = slice(start, start + BLOCK)
        inner_x = np.clip(x.reshape(-1)[part], 0, columns - 1)
        inner_y = np.clip(y.reshape(-1)[part], 0, rows - 1)
        values[:, part] = between(flat, inner_x, inner_y, size=(rows, columns))
    return values.reshape(len(planes), *x.shape)


def sample_known(planes: Planes, x: Floats, y: Floats) -> tuple[Planes, Mask]:
    """Interpolate planes that may have unknown values (NaN) bilinearly.

    Return the values and a mask of the known ones. A value is known if all pixels that contribute
    to it are known; otherwise it is 0.
    """
    unknown: Mask = np.logical_or.reduce(~np.isfinite(planes), axis=0)
    if not unknown.any():
        return sample(planes, x, y), np.ones(np.shape(x), np.bool_)
    filled = np.concatenate([np.where(unknown, 0, planes), unknown[None].astype(np.float32)])
    values = sample(filled, x, y)
    known: Mask = values[-1] == 0
    return np.where(known, values[:-1], 0), known


def _bilinear(flat: Planes, x: Floats, y: Floats, *, size: Size) -> Planes:
    rows, columns = size
    # the last pixel is the right neighbour of the one before it, with weight 1
    left = np.minimum(x.astype(np.intp), max(columns - 2, 0))
    top = np.minimum(y.astype(np.intp), max(rows - 2, 0))
    across, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    near_x, near_y = 1 - across, 1 - down
    corner = top * columns + left
    right, below = min(columns - 1, 1), columns * min(rows - 1, 1)
    values = np.empty((len(flat), *x.shape), np.float32)
    for plane, value in zip(flat, values, strict=True):
        upper = near_x * plane.take(corner) + across * plane.take(corner + right)
        lower = near_x * plane.take(corner + below) + across * plane.take(corner + below + right)
        np.add(near_y * upper, down * lower, out=value)
    return values


def _bicubic(flat: Planes, x: Floats, y: Floats, *, size: Size) -> Planes:
    rows, columns = size
    left, top = x.astype(np.intp), y.astype(np.intp)
    across, down = _cubic((x - left).astype(np.float32)), _cubic((y - top).astype(np.float32))
    values = np.zeros((len(flat), *x.shape), np.float32)
    for j, weight_y in enumerate(down, start=-1):
        row = np.clip(top + j, 0, rows - 1) * columns
        for i, weight_x in enumerate(across, start=-1):
            place, weight = row + np.clip(left + i, 0, columns - 1), weight_y * weight_x
            for plane, value in zip(flat, values, strict=True):
                value += weight * plane.take(place)
    return values


def _cubic(fraction: Planes) -> list[Planes]:
    """Return the weights of the pixels at -1, 0, 1 and 2: Keys' kernel with a = -1/2."""
    f = fraction
    return [
        f * (-0.5 + f * (1 - 0.5 * f)),
        1 + f * f * (1.5 * f - 2.5),
        f * (0.5 + f * (2 - 1.5 * f)),
        f * f * (0.5 * f - 0.5),
    ]
