"""Geometric transforms of fields: flip, transpose, rotate, crop and resize.

Each function returns the flow of the transformed frames, so positions and vectors both change.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import cv2
import numpy as np

from flowstream.errors import ParameterError, ShapeError
from flowstream.flow.motion.checks import check_choice, check_field
from flowstream.flow.motion.interpolation import Mask, sample_known
from flowstream.types import Size, Vectors

Axis = Literal["x", "y"]


def flip(vectors: Vectors, *, axis: Axis = "x") -> Vectors:
    """Return the flow of the mirrored frames.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.
    axis : {"x", "y"}
        "x" swaps left and right and negates dx; "y" swaps top and bottom and negates dy.

    Returns
    -------
    (..., 2, H, W), float32
        New array.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`.
    ParameterError
        If `axis` is neither "x" nor "y".
    """
    check_field(vectors)
    check_choice("axis", axis, get_args(Axis))
    along_x = axis == "x"
    flipped: Vectors = (vectors[..., ::-1] if along_x else vectors[..., ::-1, :]).copy()
    component = flipped[..., 0 if along_x else 1, :, :]
    np.negative(component, out=component)
    return flipped


def transpose(vectors: Vectors) -> Vectors:
    """Return the flow of the transposed frames: swap rows and columns, and dx and dy.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.

    Returns
    -------
    (..., 2, W, H), float32
        New array.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`.
    """
    check_field(vectors)
    return np.ascontiguousarray(vectors[..., ::-1, :, :].swapaxes(-1, -2))


def quarter_turn(vectors: Vectors, *, turns: int = 1) -> Vectors:
    """Return the flow of the frames rotated by a multiple of 90 degrees, exactly.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.
    turns : int
        Number of quarter turns, clockwise on screen; a negative number turns counterclockwise.

    Returns
    -------
    (..., 2, H, W) or, if `turns` is odd, (..., 2, W, H), float32
        New array.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`.
    """
    if turns % 2:
        return flip(transpose(vectors), axis="x" if turns % 4 == 1 else "y")
    return flip(flip(vectors, axis="x"), axis="y") if turns % 4 else transpose(transpose(vectors))


def rotate(vectors: Vectors, *, degrees: float) -> tuple[Vectors, Mask]:
    """Return the flow of the frames rotated about their centre, at the same size.

    Parameters
    ----------
    vectors : (2, H, W), float32
        dx right, dy down, in pixels.
    degrees : float
        Angle; positive is clockwise on screen.

    Returns
    -------
    rotated : (2, H, W), float32
        Rotated vectors at bilinearly interpolated positions; 0 where they are not valid.
    valid : (H, W), bool
        True inside the rotated frame where its flow is known.

    Raises
    ------
    ShapeError
        If `vectors` is not a single field.
    ParameterError
        If `degrees` is not finite.
    """
    check_field(vectors, axes=3)
    if not math.isfinite(degrees):
        raise ParameterError(f"degrees: expected a finite angle, got {degrees}")
    rows, columns = vectors.shape[1:]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle_x, middle_y = (columns - 1) / 2, (rows - 1) / 2
    x, y = np.arange(columns) - middle_x, np.arange(rows)[:, None] - middle_y
    from_x = cosine * x + sine * y + middle_x
    from_y = cosine * y - sine * x + middle_y
    # 1e-6 allows for rounding of cosine and sine, because the border of the frame is inside
    valid = np.abs(from_x - np.clip(from_x, 0, columns - 1)) < 1e-6
    valid &= np.abs(from_y - np.clip(from_y, 0, rows - 1)) < 1e-6
    (dx, dy), known = sample_known(np.asarray(vectors, np.float32), from_x, from_y)
    valid &= known
    turned = np.stack([cosine * dx - sine * dy, sine * dx + cosine * dy])
    return np.where(valid, turned, 0).astype(np.float32), valid


def crop(vectors: Vectors, corner: tuple[int, int], size: Size) -> Vectors:
    """Return the flow of a rectangular region of the frames.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels.
    corner : (row, column)
        Top left pixel of the region.
    size : (rows, columns)
        Size of the region.

    Returns
    -------
    (..., 2, rows, columns), float32
        New array; its vectors may point out of the region.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`, or the region is not inside the field.
    """
    check_field(vectors)
    for axis, start, length, whole in zip(
        ("rows", "columns"), corner, size, vectors.shape[-2:], strict=True
    ):
        if length < 1 or start < 0 or start + length > whole:
            raise ShapeError(
                f"crop: {axis}: expected a non-empty range within 0 to {whole}, "
                f"got {start} to {start + length}"
            )
    (top, left), (rows, columns) = corner, size
    region: Vectors = vectors[..., top : top + rows, left : left + columns].copy()
    return region


def resize_field(vectors: Vectors, size: Size) -> Vectors:
    """Resample a flow field to another size and scale its vectors accordingly.

    A shrinking axis is averaged over the area of each new pixel, so that every vector contributes.
    A growing axis is interpolated linearly, so that no vector exceeds its neighbours. A new pixel
    is unknown (NaN) if one of the vectors that contribute to it is unknown.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, in pixels per frame step of the H x W grid.
    size : (rows, columns)
        Size of the result.

    Returns
    -------
    (..., 2, rows, columns), float32
        Pixels per frame step of the new grid: dx is multiplied by columns / W, dy by rows / H.
        New array.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`, or a side of `size` is below 1.
    """
    check_field(vectors)
    for axis, side in zip(("rows", "columns"), size, strict=True):
        if side < 1:
            raise ShapeError(f"size: {axis}: expected at least 1, got {side}")
    old, new = vectors.shape[-2:], tuple(size)
    resized = np.empty((*vectors.shape[:-2], *new), np.float32)
    planes = np.ascontiguousarray(vectors, np.float32).reshape(-1, *old)
    between = (min(old[0], new[0]), min(old[1], new[1]))
    for plane, target in zip(planes, resized.reshape(-1, *new), strict=True):
        # two steps, because OpenCV averages areas only if both axes shrink
        shrunk = cv2.resize(plane, between[::-1], interpolation=cv2.INTER_AREA)
        target[:] = cv2.resize(shrunk, new[::-1], interpolation=cv2.INTER_LINEAR)
    resized[..., 0, :, :] *= np.float32(new[1] / old[1])
    resized[..., 1, :, :] *= np.float32(new[0] / old[0])
    return resized
