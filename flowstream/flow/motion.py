"""Operations on flow fields that keep them flow fields, and images moved by them."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError, did_you_mean
from flowstream.types import Size, Vectors

Axis = Literal["x", "y"]
Interpolation = Literal["bilinear", "bicubic"]

Value = TypeVar("Value", np.uint8, np.float32)


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
    _check_choice("axis", axis, get_args(Axis))
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


def warp(
    image: NDArray[Value], vectors: Vectors, *, interpolation: Interpolation = "bilinear"
) -> tuple[NDArray[Value], NDArray[np.bool_]]:
    """Fetch each pixel from where the flow says it went: the second frame as the first saw it.

    `warp(second, forward)` looks like `first` where nothing was covered and `forward` is right.

    Parameters
    ----------
    image : (H, W) or (H, W, C), uint8 or float32
        What to fetch from; C may be any number.
    vectors : (2, H, W), float32
        dx right, dy down, pixels.
    interpolation : {"bilinear", "bicubic"}
        Bicubic is Keys' kernel with a = -1/2, exact on quadratics; it overshoots at edges.

    Returns
    -------
    warped : like `image`
        Its value at (x+dx, y+dy); 0 where that is not valid. uint8 is rounded and clipped.
    valid : (H, W), bool
        Where (x+dx, y+dy) is known and lies between the image's pixels.

    Raises
    ------
    ShapeError
        If `vectors` is not one field, or `image` has another size or is neither uint8 nor float32.
    ParameterError
        If `interpolation` is not known.

    References
    ----------
    R. Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE TASSP 1981.
    doi:10.1109/TASSP.1981.1163711
    """
    check_field(vectors, axes=3)
    _check_choice("interpolation", interpolation, get_args(Interpolation))
    rows, columns = vectors.shape[1:]
    if image.ndim not in (2, 3) or image.shape[:2] != (rows, columns):
        raise ShapeError(
            f"image: got shape {image.shape}, expected ({rows}, {columns}) as the flow, "
            "or that and channels"
        )
    if image.dtype not in (np.uint8, np.float32):
        raise ShapeError(f"image: got {image.dtype}, expected uint8 or float32")
    x = np.arange(columns, dtype=np.float32) + vectors[0]
    y = np.arange(rows, dtype=np.float32)[:, None] + vectors[1]
    # written so that NaN is not valid
    valid = (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)
    fetched = _sample(image, x[valid], y[valid], interpolation=interpolation)
    if image.dtype == np.uint8:
        fetched = fetched.round().clip(0, 255)
    warped = np.zeros_like(image)
    warped[valid] = fetched.astype(image.dtype)
    return warped, valid


def consistency(forward: Vectors, backward: Vectors) -> NDArray[np.bool_]:
    """Where the flow back from where a pixel went returns to it: not covered, not lost.

    With w the forward flow and w' the backward flow at the end of w (bilinear), a pixel is
    consistent if |w + w'|^2 < 0.01 (|w|^2 + |w'|^2) + 0.5, and w ends inside the frame.

    Parameters
    ----------
    forward, backward : (..., 2, H, W), float32
        First to second frame, and second to first; pixels.

    Returns
    -------
    (..., H, W), bool

    Raises
    ------
    ShapeError
        If these are not two such fields of one shape.

    References
    ----------
    N. Sundaram, T. Brox, K. Keutzer, "Dense Point Trajectories by GPU-Accelerated Large
    Displacement Optical Flow", ECCV 2010, section 3. doi:10.1007/978-3-642-15549-9_32
    """
    check_field(forward, name="forward")
    check_field(backward, name="backward")
    if forward.shape != backward.shape:
        raise ShapeError(
            f"backward: got shape {backward.shape}, expected {forward.shape} as forward"
        )
    field = forward.shape[-3:]
    consistent = np.empty((*forward.shape[:-3], *field[1:]), np.bool_)
    for there, back, target in zip(
        forward.reshape(-1, *field),
        backward.reshape(-1, *field),
        consistent.reshape(-1, *field[1:]),
        strict=True,
    ):
        returned, valid = warp(np.ascontiguousarray(np.moveaxis(back, 0, 2), np.float32), there)
        returned = np.moveaxis(returned, 2, 0)
        gap = np.square(there + returned).sum(axis=0)
        length = np.square(there).sum(axis=0) + np.square(returned).sum(axis=0)
        target[:] = valid & (gap < 0.01 * length + 0.5)
    return consistent


def check_field(vectors: NDArray[Any], *, axes: int | None = None, name: str = "vectors") -> None:
    """Refuse what is not `(..., 2, H, W)`, or has another number of axes than `axes`.

    Raises
    ------
    ShapeError
    """
    shape = vectors.shape
    if len(shape) < 3 or shape[-3] != 2 or 0 in shape[-2:] or axes not in (None, len(shape)):
        expected = "(2, H, W)" if axes == 3 else "(..., 2, H, W)"
        raise ShapeError(f"{name}: got shape {shape}, expected {expected} of at least one pixel")


def _check_choice(parameter: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ParameterError(
            f"{parameter}: got {value!r}, expected one of: {', '.join(known)}."
            f"{did_you_mean(str(value), known)}"
        )


def _sample(
    image: NDArray[Value],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    *,
    interpolation: Interpolation,
) -> NDArray[np.float32]:
    """Values `(P,)` or `(P, C)` between the pixels of an image, at P points inside of it.

    Not `cv2.remap`: before OpenCV 5 it rounds positions to 1/32 pixel.
    """
    rows, columns = image.shape[:2]
    left, top = np.floor(x), np.floor(y)
    weights = _linear if interpolation == "bilinear" else _cubic
    across, down = weights(x - left), weights(y - top)
    first = 1 - len(across) // 2
    channels = (slice(None),) + (None,) * (image.ndim - 2)
    total = np.zeros((len(x), *image.shape[2:]), np.float32)
    for j, weight_y in enumerate(down, start=first):
        row = np.clip(top.astype(np.intp) + j, 0, rows - 1)
        for i, weight_x in enumerate(across, start=first):
            column = np.clip(left.astype(np.intp) + i, 0, columns - 1)
            total += (weight_y * weight_x)[channels] * image[row, column]
    return total


def _linear(fraction: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [1 - fraction, fraction]


def _cubic(fraction: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    f = fraction
    return [
        f * (-0.5 + f * (1 - 0.5 * f)),
        1 + f * f * (1.5 * f - 2.5),
        f * (0.5 + f * (2 - 1.5 * f)),
        f * f * (0.5 * f - 0.5),
    ]
