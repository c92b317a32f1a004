"""Pyramids, texture and differences of whole images, for the reference of TV-L1.

[S] Sanchez Perez, Meinhardt-Llopis & Facciolo, IPOL 2013; [W] Wedel et al. 2009; [BT] Beck &
Teboulle 2009; [CD] Chambolle & Dossal 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """The parameters of flowstream's `tvl1`, by the same names."""

    scheme: str
    attachment: float
    tightness: float
    time_step: float
    warps: int
    finest_warps: int
    outer_iterations: int
    inner_iterations: int
    tolerance: float
    pyramid_factor: float
    levels: int | str
    smoothing: float
    alignment: str
    median_filter: int
    weighted_median: int
    weighted_levels: int
    weighted_warps: int
    edge_contrast: float
    texture: float
    texture_iterations: int
    gradients: str
    outside: str
    cubic: float


def forward(u: Array) -> Array:
    """Forward differences of each component, right then down; 0 across the border."""
    slope = np.zeros((len(u), 2, *u.shape[1:]))
    slope[:, 0, :, :-1] = np.diff(u, axis=2)
    slope[:, 1, :-1] = np.diff(u, axis=1)
    return slope


def divergence(p: Array) -> Array:
    """The negative adjoint of `forward`."""
    right, down = p[:, 0], p[:, 1]
    return np.diff(right, axis=2, prepend=0) + np.diff(down, axis=1, prepend=0)


def central(image: Array, axis: int) -> Array:
    shift = shifted(image, axis, 1)
    return (shift[2] - shift[0]) / 2


def shifted(image: Array, axis: int, reach: int) -> list[Array]:
    """The image displaced by -reach ... reach along an axis; borders repeat."""
    width = [(0, 0), (0, 0)]
    width[axis] = (reach, reach)
    padded = np.pad(image, width, mode="edge")
    length = image.shape[axis]
    return [np.take(padded, range(k, k + length), axis) for k in range(2 * reach + 1)]


def pyramid(image: Array, settings: Settings) -> list[Array]:
    """[S] section 3.3: smooth, then sample; no side below 16."""
    levels = [image]
    factor = settings.pyramid_factor
    sigma = settings.smoothing * np.sqrt(1 / factor**2 - 1)
    most = 1000 if settings.levels == "auto" else int(settings.levels)
    while len(levels) < most:
        rows, columns = (round(side * factor) for side in levels[-1].shape)
        if min(rows, columns) < 16:
            break
        levels.append(sample(smooth(levels[-1], sigma), (rows, columns), settings, down=True))
    return levels


def enlarge(u: Array, size: tuple[int, ...], settings: Settings) -> Array:
    """[S] equation 20: the flow of the next finer grid."""
    rows, columns = size
    if u.shape[1:] == size:
        return u
    scale = columns / u.shape[2], rows / u.shape[1]
    if settings.alignment == "factor":
        scale = (1 / settings.pyramid_factor,) * 2
    return np.stack(
        [
            gain * sample(part, (rows, columns), settings)
            for gain, part in zip(scale, u, strict=True)
        ]
    )


def sample(image: Array, size: tuple[int, int], settings: Settings, *, down: bool = False) -> Array:
    """Linear interpolation at the centres of another grid's pixels."""
    for axis in (0, 1):
        ratio = image.shape[axis] / size[axis]
        if down and settings.alignment == "factor":
            ratio = 1 / settings.pyramid_factor
        place = np.clip((np.arange(size[axis]) + 0.5) * ratio - 0.5, 0, image.shape[axis] - 1)
        low = np.minimum(np.floor(place).astype(int), image.shape[axis] - 1)
        high = np.minimum(low + 1, image.shape[axis] - 1)
        share = np.expand_dims(place - low, 1 - axis)
        image = (1 - share) * np.take(image, low, axis) + share * np.take(image, high, axis)
    return image


def smooth(image: Array, sigma: float) -> Array:
    """Convolve with a Gaussian cut at three sigma; borders repeat."""
    radius = min(int(np.ceil(3 * sigma)), 5)
    if radius == 0:
        return image
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    for axis in (0, 1):
        parts = shifted(image, axis, radius)
        image = sum((t * part for t, part in zip(taps / taps.sum(), parts, strict=True)), 0 * image)
    return image


def texture(image: Array, settings: Settings) -> Array:
    """[W] section 4.1, by [BT]'s dual with [CD]'s t_k: texture and a little of the image.

    The weight of the image, less its mean, is 1 - texture where its mean is 128.
    """
    theta = 16.0
    before = ahead = np.zeros((1, 2, *image.shape))
    for k in range(settings.texture_iterations):
        structure = image + theta * divergence(ahead)[0]
        p = ahead + forward(structure[None]) / (8 * theta)
        p = p / np.maximum(1, np.sqrt((p**2).sum(1, keepdims=True)))
        ahead = p + k / (k + 3) * (p - before)
        before = p
    structure = image + theta * divergence(ahead)[0]
    share = (1 - settings.texture) * 128 / max(image.mean(), 32)
    mixed: Array = 2.0 * ((1 - share) * (image - structure) + share * (image - image.mean()))
    return mixed
