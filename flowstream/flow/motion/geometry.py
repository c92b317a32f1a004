"""The flow of frames that were flipped, turned, cut or resized: vectors change with the picture."""

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
    """The flow of the mirrored frames.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.
    axis : {"x", "y"}
        "x" swaps left and right and negates dx; "y" swaps top and bottom and negates dy.

    Returns
    -------
    (..., 2, H, W), float32
        A new array.

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
    """The flow of the transposed frames: rows and columns swapped, dx and dy with them.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.

    Returns
    -------
    (..., 2, W, H), float32
        A new array.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`.
    """
    check_field(vectors)
    return np.ascontiguousarray(vectors[..., ::-1, :, :].swapaxes(-1, -2))


def quarter_turn(vectors: Vectors, *, turns: int = 1) -> Vectors:
    """The flow of the frames turned by quarters, exactly: nothing is resampled.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.
    turns : int
        Quarter turns, clockwise on screen; negative ones the other way.

    Returns
    -------
    (..., 2, H, W) or, for an odd number, (..., 2, W, H), float32
        A new array.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`.
    """
    if turns % 2:
        return flip(transpose(vectors), axis="x" if turns % 4 == 1 else "y")
    return flip(flip(vectors, axis="x"), axis="y") if turns % 4 else transpose(transpose(vectors))


def rotate(vectors: Vectors, *, degrees: float) -> tuple[Vectors, Mask]:
    """The flow of the frames turned about their middle by any angle, in a frame of the same size.

    Parameters
    ----------
    vectors : (2, H, W), float32
        dx right, dy down, pixels.
    degrees : float
        Positive is clockwise on screen.

    Returns
    -------
    rotated : (2, H, W), float32
        Interpolated bilinearly, each vector turned; 0 where that is not valid.
    valid : (H, W), bool
        Where the turned frame is, and its flow is known.

    Raises
    ------
    ShapeError
        If `vectors` is not one field.
    ParameterError
        If `degrees` is not finite.
    """
    check_field(vectors, axes=3)
    if not math.isfinite(degrees):
        raise ParameterError(f"degrees: got {degrees}, expected a finite angle")
    rows, columns = vectors.shape[1:]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle_x, middle_y = (columns - 1) / 2, (rows - 1) / 2
    x, y = np.arange(columns) - middle_x, np.arange(rows)[:, None] - middle_y
    from_x = cosine * x + sine * y + middle_x
    from_y = cosine * y - sine * x + middle_y
    # 1e-6: cosine and sine are rounded, and the frame's own border counts as inside
    valid = np.abs(from_x - np.clip(from_x, 0, columns - 1)) < 1e-6
    valid &= np.abs(from_y - np.clip(from_y, 0, rows - 1)) < 1e-6
    (dx, dy), known = sample_known(np.asarray(vectors, np.float32), from_x, from_y)
    valid &= known
    turned = np.stack([cosine * dx - sine * dy, sine * dx + cosine * dy])
    return np.where(valid, turned, 0).astype(np.float32), valid


def crop(vectors: Vectors, corner: tuple[int, int], size: Size) -> Vectors:
    """The flow of a part of the frames.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels.
    corner : (row, column)
        The first of the part.
    size : (rows, columns)

    Returns
    -------
    (..., 2, rows, columns), float32
        A new array; its vectors may lead out of the part.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`, or the part does not lie inside.
    """
    check_field(vectors)
    for axis, start, length, whole in zip(
        ("rows", "columns"), corner, size, vectors.shape[-2:], strict=True
    ):
        if length < 1 or start < 0 or start + length > whole:
            raise ShapeError(
                f"crop: got {axis} {start} to {start + length} of a field with {whole} {axis}; "
                "expected a part of it"
            )
    (top, left), (rows, columns) = corner, size
    part: Vectors = vectors[..., top : top + rows, left : left + columns].copy()
    return part


def resize_field(vectors: Vectors, size: Size) -> Vectors:
    """Resample a flow field to another size, scaling its vectors with it.

    An axis that shrinks is averaged over each new pixel's area, so that no vector is skipped; an
    axis that grows is interpolated linearly, which makes no vector larger than its neighbours.
    Unknown vectors (NaN) spread to each new pixel that they are part of.

    Parameters
    ----------
    vectors : (..., 2, H, W), float32
        dx right, dy down, pixels per frame step of the H x W grid.
    size : (rows, columns)
        Rows and columns of the result.

    Returns
    -------
    (..., 2, rows, columns), float32
        Pixels per frame step of the new grid: dx is scaled by columns / W, dy by rows / H. A new
        array.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`, or a side of `size` is below 1.
    """
    check_field(vectors)
    for axis, side in zip(("rows", "columns"), size, strict=True):
        if side < 1:
            raise ShapeError(f"size: got {side} {axis}, expected at least 1")
    old, new = vectors.shape[-2:], tuple(size)
    resized = np.empty((*vectors.shape[:-2], *new), np.float32)
    planes = np.ascontiguousarray(vectors, np.float32).reshape(-1, *old)
    between = (min(old[0], new[0]), min(old[1], new[1]))
    for plane, target in zip(planes, resized.reshape(-1, *new), strict=True):
        # OpenCV averages areas only where both axes shrink, hence two steps
        shrunk = cv2.resize(plane, between[::-1], interpolation=cv2.INTER_AREA)
        target[:] = cv2.resize(shrunk, new[::-1], interpolation=cv2.INTER_LINEAR)
    resized[..., 0, :, :] *= np.float32(new[1] / old[1])
    resized[..., 1, :, :] *= np.float32(new[0] / old[0])
    return resized
