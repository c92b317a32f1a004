"""Images moved by a field: fetched from where it leads, or carried there."""

from __future__ import annotations

from typing import TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError
from flowstream.flow.motion.checks import check_choice, check_field, check_image
from flowstream.flow.motion.interpolation import (
    BLOCK,
    Interpolation,
    Mask,
    Planes,
    inside,
    sample,
    sample_known,
    targets,
)
from flowstream.types import Vectors

Value = TypeVar("Value", np.uint8, np.float32)

LEAST = 0.1
"""Of a whole pixel's weight, what must land on a pixel for its value to be told.

Where a zoom stretches a picture by 1.5, at least 0.25 lands everywhere; rounding of positions lands
less than 0.001 on pixels that nothing goes to.
"""


def warp(
    image: NDArray[Value], vectors: Vectors, *, interpolation: Interpolation = "bilinear"
) -> tuple[NDArray[Value], Mask]:
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
        Where (x+dx, y+dy) is known and lies between the image's pixels, and, with bilinear
        interpolation, these are known too (not NaN).

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
    check_choice("interpolation", interpolation, get_args(Interpolation))
    check_image(image, vectors)
    x, y = targets(vectors)
    valid = inside(x, y, image.shape[:2])
    x, y = np.where(valid, x, 0), np.where(valid, y, 0)
    planes = _planes(image)
    if interpolation == "bicubic":
        fetched = sample(planes, x, y, interpolation=interpolation)
    else:
        fetched, known = sample_known(planes, x, y)
        valid &= known
    return _as_image(np.where(valid, fetched, 0), image), valid


def splat(
    image: NDArray[Value],
    vectors: Vectors,
    *,
    weights: NDArray[np.float32] | None = None,
    least: float = LEAST,
) -> tuple[NDArray[Value], Mask]:
    """Carry each pixel to where the flow says it goes: the first frame at the second's time.

    A pixel's value is shared out bilinearly among the four pixels that it lands between; each pixel
    shows the weighted mean of what has landed on it. Where pixels of several motions land, they
    are mixed; `weights` says whose value counts more.

    Parameters
    ----------
    image : (H, W) or (H, W, C), uint8 or float32
        What to carry; C may be any number. Unknown values (NaN) are left behind.
    vectors : (2, H, W), float32
        dx right, dy down, pixels; a pixel of unknown motion is left behind.
    weights : (H, W), float32 or None
        Of each pixel, 0 or more; None: all alike.
    least : float
        What of a pixel's whole bilinear weight must land on a pixel for it to be filled.

    Returns
    -------
    carried : like `image`
        0 where it is not filled. uint8 is rounded.
    filled : (H, W), bool
        Where enough has landed; elsewhere are the holes.

    Raises
    ------
    ShapeError
        If `vectors` is not one field, or `image` or `weights` do not fit it.
    ParameterError
        If a weight is negative or not finite.
    """
    check_field(vectors, axes=3)
    check_image(image, vectors)
    if weights is not None and weights.shape != image.shape[:2]:
        raise ShapeError(f"weights: got shape {weights.shape}, expected {image.shape[:2]}")
    if weights is not None and not ((weights >= 0) & np.isfinite(weights)).all():
        raise ParameterError("weights: got one that is negative or not finite, expected 0 or more")
    carried, filled = splat_planes(_planes(image), vectors, weights=weights, least=least)
    return _as_image(carried, image), filled


def splat_planes(
    planes: Planes,
    vectors: Vectors,
    *,
    weights: NDArray[np.float32] | None = None,
    least: float = LEAST,
) -> tuple[Planes, Mask]:
    """`splat` of (C, H, W) planes."""
    x, y = targets(vectors)
    # a pixel that ends less than one beyond the frame still lands on its border in part
    moving = np.logical_and.reduce(np.isfinite(planes), axis=0)
    moving &= (x > -1) & (x < planes.shape[2]) & (y > -1) & (y < planes.shape[1])
    places = np.flatnonzero(moving)
    if weights is None:
        sums = _landed(planes, places, to=(x, y))
        landed = counted = sums[0]
    else:
        weighted = np.concatenate([weights[None], planes * weights])
        sums = _landed(weighted, places, to=(x, y))
        landed, counted = sums[0], sums[1]
    filled = (landed >= least) & (counted > 0)
    total = sums[-len(planes) :]
    carried = np.divide(total, counted, out=np.zeros_like(total), where=filled)
    return carried.astype(np.float32), filled


def _landed(
    planes: Planes, places: NDArray[np.intp], *, to: tuple[Planes, Planes]
) -> NDArray[np.float64]:
    """What lands on each pixel, (1 + C, H, W): of pixels' weights, then of each plane's values.

    Of the pixels at flat indices `places` alone, which go to x and y in `to`.
    """
    (x, y), (rows, columns) = to, planes.shape[1:]
    width = columns + 2  # one pixel more on each side, for what lands outside
    sums = np.zeros((1 + len(planes), (rows + 2) * width))
    flat = planes.reshape(len(planes), -1)
    # in blocks: these land close together, so what they need stays in the cache
    for start in range(0, len(places), BLOCK):
        block = places[start : start + BLOCK]
        to_x, to_y = x.take(block).astype(np.float64), y.take(block).astype(np.float64)
        left, top = np.floor(to_x), np.floor(to_y)
        corner = ((top + 1) * width + left + 1).astype(np.intp)
        first = int(corner.min())
        corner -= first
        for offset_x, weight_x in ((0, left + 1 - to_x), (1, to_x - left)):
            for offset_y, weight_y in ((0, top + 1 - to_y), (width, to_y - top)):
                part = weight_x * weight_y
                there = slice(first + offset_x + offset_y, None)
                for total, share in zip(
                    sums, (part, *(part * plane.take(block) for plane in flat)), strict=True
                ):
                    added = np.bincount(corner, share)
                    total[there][: len(added)] += added
    return sums.reshape(-1, rows + 2, width)[:, 1:-1, 1:-1]


def _planes(image: NDArray[Value]) -> Planes:
    """(C, H, W) float32 of an image; C is 1 where it has no such axis."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
    return np.ascontiguousarray(planes, np.float32)


def _as_image(planes: Planes, like: NDArray[Value]) -> NDArray[Value]:
    """Planes as an image of the shape and dtype of another."""
    if like.dtype == np.uint8:
        planes = planes.round().clip(0, 255)
    image = planes[0] if like.ndim == 2 else np.moveaxis(planes, 0, 2)
    return np.ascontiguousarray(image.astype(like.dtype))
