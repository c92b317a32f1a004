"""What the kernels of TV-L1 are told: numbers, and the sizes of the pyramid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowstream.types import Size

SETTLED = 1 / 64  # pixels: how closely the weighted median is bracketed
STEPS = 20  # of bisection at most: SETTLED is reached from a spread of 16384 pixels
NEARNESS = 7.0  # pixels, standard deviation over distance (Sun, Roth & Black 2010)
LIKENESS = 20.0  # grey values, standard deviation over difference; theirs is 7 over CIELAB
STRUCTURE = 16.0  # grey values; their 1/8 of images scaled to -1...1
GAIN = 2.0  # what remains spans about half the range; the attachment is meant for the whole
FLAT = 1e-6  # squared grey values per pixel: below it, brightness says nothing
UNLIKE = 20.0  # grey values, standard deviation of the brightness difference (Sun et al. 2010)
CONVERGING = 0.3  # pixels per pixel, standard deviation of the flow's divergence (likewise)
DISTRUSTED = 0.01
CHECKED = 5  # iterations between two convergence tests
SMALLEST = 16  # pixels: no level of a pyramid has a shorter side


class Numbers(NamedTuple):
    """The parameters as the kernels take them."""

    joint: int
    attachment: float
    primal_step: float
    dual_step: float
    warps: int
    finest_warps: int
    outer_iterations: int
    inner_iterations: int
    tolerance: float
    median: int
    weighted_radius: int
    weighted_levels: int
    weighted_warps: int
    contrast: float
    texture: float
    texture_iterations: int
    blended: int
    black: int
    cubic: float
    shrink: float


class Grids(NamedTuple):
    """The pyramid: sizes (levels, 2) from fine to coarse, and the smoothing before each step."""

    sizes: NDArray[np.int64]
    taps: NDArray[np.float32]
    one: NDArray[np.float32]


def make_grids(size: Size, *, factor: float, levels: int, smoothing: float) -> Grids:
    """The sizes of at most `levels` levels, while no side falls below SMALLEST."""
    sizes = [size]
    while len(sizes) < levels:
        rows, columns = (round(side * factor) for side in sizes[-1])
        if min(rows, columns) < SMALLEST:
            break
        sizes.append((rows, columns))
    return Grids(
        sizes=np.array(sizes, np.int64),
        taps=gaussian_taps(smoothing * np.sqrt(1 / factor**2 - 1)),
        one=np.ones(1, np.float32),
    )


def gaussian_taps(sigma: float) -> NDArray[np.float32]:
    """Weights of a sampled Gaussian cut at three sigma; one tap of 1 where sigma is 0."""
    radius = min(int(np.ceil(3 * sigma)), 5)
    distance = np.arange(-radius, radius + 1)
    weights: NDArray[np.float64] = np.exp(-0.5 * (distance / max(sigma, 1e-9)) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)
