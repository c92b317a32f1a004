"""Warping of images by a field: backward (`warp`) and forward (`splat`)."""

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
    is_inside,
    sample,
    sample_known,
    targets,
)
from flowstream.types import Vectors

Value = TypeVar("Value", np.uint8, np.float32)

LEAST = 0.1
"""Minimum sum of bilinear weights for a pixel to count as filled, relative to one pixel.

A zoom by 1.5 gives every pixel at least 0.25. Rounding of positions gives pixels that are not
reached less than 0.001.
"""


def warp(
    image: NDArray[Value], vectors: Vectors, *, interpolation: Interpolation = "bilinear"
) -> tuple[NDArray[Value], Mask]:
    """Warp an image backward: each pixel takes the value at the end of its vector.

    `warp(second, forward)` equals `first` where `forward` is correct and nothing gets covered.

    Parameters
    ----------
    image : (H, W) or (H, W, C), uint8 or float32
        Image to sample; C may be any number.
    vectors : (2, H, W), float32
        dx right, dy down, in pixels.
    interpolation : {"bilinear", "bicubic"}
        Bicubic interpolation uses Keys' kernel with a = -1/2. It is exact for quadratics and
        overshoots at edges.

    Returns
    -------
    warped : like `image`
        Image at (x+dx, y+dy); 0 where it is not valid. uint8 is rounded and clipped.
    valid : (H, W), bool
        True where (x+dx, y+dy) is known and inside the image and, with bilinear interpolation, its
        neighbours in the image are known (not NaN).

    Raises
    ------
    ShapeError
        If `vectors` is not a single field, or `image` has another size or is neither uint8 nor
        float32.
    ParameterError
        If `interpolation` is unknown.

    References
    ----------
    R. Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE TASSP 1981.
    doi:10.1109/TASSP.1981.1163711
    """
    check_field(vectors, axes=3)
    check_choice("interpolation", interpolation, get_args(Interpolation))
    check_image(image, vectors)
    x, y = targets(vectors)
    valid = is_inside(x, y, image.shape[:2])
    x, y = np.where(valid, x, 0), np.where(valid, y, 0)
    planes = _as_planes(image)
    if interpolation == "bicubic":
        sampled = sample(planes, x, y, interpolation=interpolation)
    else:
        sampled, known = sample_known(planes, x, y)
        valid &= known
    return _as_image(np.where(valid, sampled, 0), image), valid


def splat(
    image: NDArray[Value],
    vectors: Vectors,
    *,
    weights: NDArray[np.float32] | None = None,
    least: float = LEAST,
) -> tuple[NDArray[Value], Mask]:
    """Warp an image forward: move each pixel to the end of its vector.

    The value of a pixel is distributed bilinearly among the four pixels around its end position.
    Each pixel of the result is the weighted mean of the values that it receives. Where several
    motions meet, `weights` controls their contributions.

    Parameters
    ----------
    image : (H, W) or (H, W, C), uint8 or float32
        Image to move; C may be any number. Unknown values (NaN) are ignored.
    vectors : (2, H, W), float32
        dx right, dy down, in pixels; pixels with unknown motion are ignored.
    weights : (H, W), float32 or None
        Weight of each pixel, 0 or more; None gives all pixels the same weight.
    least : float
        Minimum sum of the bilinear weights that a pixel receives, relative to one pixel, to be
        filled.

    Returns
    -------
    carried : like `image`
        Moved image; 0 where it is not filled. uint8 is rounded.
    filled : (H, W), bool
        True where a pixel received enough weight; the other pixels are holes.

    Raises
    ------
    ShapeError
        If `vectors` is not a single field, or `image` or `weights` do not have its size.
    ParameterError
        If a weight is negative or not finite.
    """
    check_field(vectors, axes=3)
    check_image(image, vectors)
    if weights is not None and weights.shape != image.shape[:2]:
        raise ShapeError(f"weights: expected shape {image.shape[:2]}, got {weights.shape}")
    if weights is not None and not ((weights >= 0) & np.isfinite(weights)).all():
        raise ParameterError(
            "weights: expected finite values of 0 or more, got a negative, infinite or NaN one"
        )
    carried, filled = splat_planes(_as_planes(image), vectors, weights=weights, least=least)
    return _as_image(carried, image), filled


def splat_planes(
    planes: Planes,
    vectors: Vectors,
    *,
    weights: NDArray[np.float32] | None = None,
    least: float = LEAST,
) -> tuple[Planes, Mask]:
    """Warp `(C, H, W)` planes forward; see `splat`."""
    x, y = targets(vectors)
    # a pixel that ends less than one pixel outside still contributes to the border
    moving = np.logical_and.reduce(np.isfinite(planes), axis=0)
    moving &= (x > -1) & (x < planes.shape[2]) & (y > -1) & (y < planes.shape[1])
    places = np.flatnonzero(moving)
    if weights is None:
        sums = _accumulate(planes, places, to=(x, y))
        received = counted = sums[0]
    else:
        weighted = np.concatenate([weights[None], planes * weights])
        sums = _accumulate(weighted, places, to=(x, y))
        received, counted = sums[0], sums[1]
    filled = (received >= least) & (counted > 0)
    total = sums[-len(planes) :]
    carried = np.divide(total, counted, out=np.zeros_like(total), where=filled)
    return carried.astype(np.float32), filled


def _accumulate(
    planes: Planes, places: NDArray[np.intp], *, to: tuple[Planes, Planes]
) -> NDArray[np.float64]:
    """Return sums of weights and of weighted values at each pixel, `(1 + C, H, W)`.

    Only the pixels at the flat indices `places` contribute; they move to x and y in `to`.
    """
    (x, y), (rows, columns) = to, planes.shape[1:]
    width = columns + 2  # one more pixel on each side, for contributions outside of the frame
    sums = np.zeros((1 + len(planes), (rows + 2) * width))
    flat = planes.reshape(len(planes), -1)
    # in blocks, because the targets of a block are close together and stay in the cache
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


def _as_planes(image: NDArray[Value]) -> Planes:
    """Return an image as `(C, H, W)` float32; C is 1 for an image without channels."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
    return np.ascontiguousarray(planes, np.float32)


def _as_image(planes: Planes, like: NDArray[Value]) -> NDArray[Value]:
    """Return planes as an image with the axes and dtype of another image."""
    if like.dtype == np.uint8:
        planes = planes.round().clip(0, 255)
    image = planes[0] if like.ndim == 2 else np.moveaxis(planes, 0, 2)
    return np.ascontiguousarray(image.astype(like.dtype))
