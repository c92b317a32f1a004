"""Frame pairs whose motion is known exactly at every pixel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from flowstream.errors import ParameterError, ShapeError
from flowstream.synthetic.texture import Floats, Texture, random_texture, to_levels
from flowstream.types import Images, Size, Vectors

SIZE: Size = (96, 128)


def pan(*, dx: float, dy: float, size: Size = SIZE, seed: int = 0) -> tuple[Images, Images]:
    """Return a texture before and after a shift of (dx, dy) pixels, right and down positive.

    Returns
    -------
    first, second : (1, H, W), uint8
        The flow from first to second is (dx, dy) everywhere.
    """
    first, second, _ = affine(shift=(dx, dy), size=size, seed=seed)
    return first, second


def rotation(*, degrees: float, size: Size = SIZE, seed: int = 0) -> tuple[Images, Images, Vectors]:
    """Return a texture before and after a rotation about the centre, positive clockwise.

    Returns
    -------
    first, second : (1, H, W), uint8
    truth : (1, 2, H, W), float32
        The flow from first to second.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return affine(matrix=[[cosine, -sine], [sine, cosine]], size=size, seed=seed)


def zoom(*, factor: float, size: Size = SIZE, seed: int = 0) -> tuple[Images, Images, Vectors]:
    """Return a texture before and after scaling about the centre; a factor above 1 enlarges it.

    The values are those that `rotation` returns.
    """
    return affine(matrix=[[factor, 0], [0, factor]], size=size, seed=seed)


def affine(
    *,
    matrix: ArrayLike = ((1.0, 0.0), (0.0, 1.0)),
    shift: ArrayLike = (0.0, 0.0),
    size: Size = SIZE,
    seed: int = 0,
) -> tuple[Images, Images, Vectors]:
    """Return a texture before and after an affine motion about the centre of the frame.

    The point p of the first frame is at centre + matrix (p - centre) + shift in the second.

    Parameters
    ----------
    matrix : (2, 2)
        Acts on (x, y) columns.
    shift : (2,)
        dx and dy, pixels.
    size : (rows, columns)
    seed : int
        Seed of the texture.

    Returns
    -------
    first, second : (1, H, W), uint8
    truth : (1, 2, H, W), float32
        The flow from first to second.

    Raises
    ------
    ShapeError
        If `matrix` or `shift` has another shape.
    ParameterError
        If `matrix` is singular, because there would be no second frame.
    """
    linear, offset = _check_motion(matrix, shift)
    drawn = random_texture(np.random.default_rng(seed))
    first = to_levels(drawn.sample(size) + 128)
    second = to_levels(_move(drawn, linear, offset, size=size) + 128)
    return first[None], second[None], _make_field(linear, offset, size=size)[None]


def layers(
    *,
    background: tuple[float, float] = (0.0, 0.0),
    foreground: tuple[float, float] = (3.0, 2.0),
    size: Size = SIZE,
    seed: int = 0,
) -> tuple[Images, Images, Vectors]:
    """Return a textured disc that moves over a texture with another motion.

    Parameters
    ----------
    background, foreground : (dx, dy)
        Pixels. The disc is in the centre of the first frame, half as wide as the shorter side.
    size : (rows, columns)
    seed : int
        Seed of both textures.

    Returns
    -------
    first, second : (1, H, W), uint8
    truth : (1, 2, H, W), float32
        The flow of what the first frame shows, even if the disc covers it in the second.
    """
    generator = np.random.default_rng(seed)
    behind, before = random_texture(generator), random_texture(generator, finest=5.0)
    middle, radius = _find_centre(size), min(size) / 4
    frames = []
    for back, front in (((0.0, 0.0), (0.0, 0.0)), (background, foreground)):
        still = np.eye(2)
        cover = disc_cover(middle + front, radius, size=size)
        frames.append(
            to_levels(
                128
                + (1 - cover) * _move(behind, still, np.asarray(back, float), size=size)
                + cover * _move(before, still, np.asarray(front, float), size=size)
            )
        )
    inside = disc_cover(middle, radius, size=size) >= 0.5
    truth = np.where(
        inside, np.reshape(foreground, (2, 1, 1)), np.reshape(background, (2, 1, 1))
    ).astype(np.float32)
    return frames[0][None], frames[1][None], truth[None]


def disc_cover(centre: ArrayLike, radius: float, *, size: Size) -> Floats:
    """Return the (H, W) share of each pixel that a disc around `centre` (x, y) covers, 0 to 1."""
    x, y = np.asarray(centre, float)
    rows, columns = np.ogrid[: size[0], : size[1]]
    cover: Floats = np.clip(radius + 0.5 - np.hypot(rows - y, columns - x), 0, 1)
    return cover


def _check_motion(matrix: ArrayLike, shift: ArrayLike) -> tuple[Floats, Floats]:
    linear, offset = np.asarray(matrix, np.float64), np.asarray(shift, np.float64)
    if linear.shape != (2, 2):
        raise ShapeError(f"matrix: got shape {linear.shape}, expected (2, 2)")
    if offset.shape != (2,):
        raise ShapeError(f"shift: got shape {offset.shape}, expected (2,)")
    if abs(np.linalg.det(linear)) < 1e-9:
        raise ParameterError(f"matrix: got {linear.tolist()}, expected one with an inverse")
    return linear, offset


def _find_centre(size: Size) -> Floats:
    return np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])


def _move(drawn: Texture, linear: Floats, offset: Floats, *, size: Size) -> Floats:
    """Return the texture after the motion: at each pixel, its value at the pixel's origin."""
    inverse = np.asarray(np.linalg.inv(linear), np.float64)
    middle = _find_centre(size)
    return drawn.sample(size, matrix=inverse, shift=middle - inverse @ (middle + offset))


def _make_field(linear: Floats, offset: Floats, *, size: Size) -> Vectors:
    middle = _find_centre(size)
    grid = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0]))).astype(np.float64)
    centred = grid - middle[:, None, None]
    field = np.einsum("ij,jyx->iyx", linear - np.eye(2), centred) + offset[:, None, None]
    return np.asarray(field, np.float32)
