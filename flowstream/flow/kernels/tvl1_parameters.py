"""Parameters of TV-L1: presets, valid ranges, and the form in which the kernels receive them."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from flowstream.types import Size

Preset = Literal["default", "fast", "accurate", "opencv"]
Scheme = Literal["joint", "separate"]
Gradients = Literal["blended", "second"]
Outside = Literal["ignored", "black"]
Alignment = Literal["sizes", "factor"]
Matching = Literal["none", "blocks", "regions"]
Engine = Literal["auto", "numba", "torch"]
Acceleration = Literal["none", "compile", "triton"]

# How the values were chosen: on pairs with exact ground truth (layered scenes with affine and
# non-rigid motion, occlusion, changes of light), on one KITTI pair, and on real clips against RAFT.
# The Middlebury pairs only confirmed them. `opencv` holds the defaults of
# cv2.optflow.DualTVL1OpticalFlow.
_DEFAULT: dict[str, Any] = {
    "scheme": "joint",
    "attachment": 0.13,
    "tightness": 0.5,
    "time_step": 0.125,
    "warps": 5,
    "finest_warps": 2,
    "outer_iterations": 1,
    "inner_iterations": 22,
    "tolerance": 0.0,
    "pyramid_factor": 0.5,
    "levels": "auto",
    "smoothing": 0.6,
    "alignment": "sizes",
    "median_filter": 5,
    "weighted_median": 0,
    "weighted_levels": 0,
    "weighted_warps": 0,
    "edge_contrast": 8.0,
    "texture": 0.95,
    "texture_iterations": 40,
    "gradients": "blended",
    "outside": "ignored",
    "cubic": -0.75,
    "matching": "blocks",
}
PRESETS: dict[Preset, dict[str, Any]] = {
    "default": _DEFAULT,
    "fast": {
        **_DEFAULT,
        "finest_warps": 1,
        "inner_iterations": 22,
        "texture_iterations": 20,
    },
    "accurate": {
        **_DEFAULT,
        "attachment": 0.12,
        "edge_contrast": 12.0,
        "finest_warps": 5,
        "inner_iterations": 30,
        "matching": "regions",
        "pyramid_factor": 0.7,
        "weighted_median": 11,
        "weighted_levels": 4,
        "weighted_warps": 2,
    },
    "opencv": {
        "scheme": "separate",
        "attachment": 0.15,
        "tightness": 0.3,
        "time_step": 0.25,
        "warps": 5,
        "finest_warps": 5,
        "outer_iterations": 10,
        "inner_iterations": 30,
        "tolerance": 0.01,
        "pyramid_factor": 0.8,
        "levels": 5,
        "smoothing": 0.0,
        "alignment": "factor",
        "median_filter": 5,
        "weighted_median": 0,
        "weighted_levels": 0,
        "weighted_warps": 0,
        "edge_contrast": 0.0,
        "texture": 0.0,
        "texture_iterations": 0,
        "gradients": "second",
        "outside": "black",
        "cubic": -0.75,
        "matching": "none",
    },
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "preset": get_args(Preset),
    "scheme": get_args(Scheme),
    "alignment": get_args(Alignment),
    "gradients": get_args(Gradients),
    "outside": get_args(Outside),
    "matching": get_args(Matching),
    "engine": get_args(Engine),
    "acceleration": get_args(Acceleration),
    "median_filter": (0, 5),
    "weighted_median": (0, 3, 5, 7, 9, 11),
}
RANGES: dict[str, tuple[float, float]] = {
    "attachment": (1e-6, 1e6),
    "tightness": (1e-6, 1e6),
    "time_step": (1e-6, 0.25),
    "warps": (1, 1000),
    "finest_warps": (1, 1000),
    "outer_iterations": (1, 1000),
    "inner_iterations": (1, 1000),
    "tolerance": (0, math.inf),
    "pyramid_factor": (0.5, 0.95),
    "smoothing": (0, 0.9),
    "weighted_levels": (0, 1000),
    "weighted_warps": (0, 1000),
    "edge_contrast": (0, 1e6),
    "texture": (0, 1),
    "texture_iterations": (0, 10000),
    "cubic": (-1, 0),
    "threads": (0, 1024),
}

# --- constants of the kernels ---------------------------------------------------------------------

SETTLED = 1 / 64  # pixels: width of the bracket at which the weighted median stops
SMOOTH = 0.25  # pixels: weights matter only where neighbours differ by more
STEPS = 20  # bisection steps at most; they reach SETTLED from a spread of 16384 pixels
NEARNESS = 7.0  # pixels, standard deviation over distance (Sun, Roth & Black 2010)
LIKENESS = 20.0  # grey values, standard deviation over difference; theirs is 7 over CIELAB
STRUCTURE = 16.0  # grey values; 1/8 in Wedel et al. 2009, whose images are scaled to -1...1
GAIN = 2.0  # texture spans about half the range of grey values; the attachment expects all of it
MIDDLE = 128.0  # mean grey value of an image whose structure is removed by the given fraction
DARK = 32.0  # grey values: mean below which the fraction does not fall further
FLAT = 1e-6  # squared grey values per pixel: below it, brightness carries no information
UNLIKE = 20.0  # grey values, standard deviation of the brightness difference (Sun et al. 2010)
CONVERGING = 0.3  # pixels per pixel, standard deviation of the divergence (Sun et al. 2010)
DISTRUSTED = 0.01  # lowest confidence of a pixel
CHECKED = 5  # iterations between two convergence tests
SMALLEST = 16  # pixels: shortest side of a pyramid level

# Block matching. The values were chosen on scenes of flowstream.synthetic.scenes; none is critical.
REACH_COARSE = 8  # pixels of the level of about 1/8: 64 pixels of the frame
REACH_FINE = 16  # pixels of the level of about 1/4; planes have no more free columns
WINDOW_COARSE, WINDOW_FINE, WINDOW_MERGED = 2, 3, 2  # pixels on each side of a window's centre
WINDOW_REGION = 6  # in regions; 4 found less of flat objects, no window leaked into the background
LIMIT = 30.0  # grey values: largest difference of a pixel that counts
VOTES = 4  # pixels, in each direction, that make a displacement a candidate
CANDIDATES = 100  # displacements tried on the finer level
GROUP = 20  # pixels: smaller groups of matches are not trusted
EDGE_LENGTH = 0.25  # pixels of distance per grey value of difference
MATCH_WARPS = 2  # more let total variation remove small objects again
BETTER = 0.5  # grey values by which a match must be better than the coarse-to-fine flow
REGION_APART = 1.0  # pixels between match and flow that make a pixel part of a region
REGION_STEP = 0.75  # pixels by which the matches of neighbours in a region may differ, per axis
REGION_BETTER = 0.3  # grey values by which the matches of a region must be better on average


class Numbers(NamedTuple):
    """Parameters as the kernels receive them; fields are named after those of `TVL1`."""

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
    matching: int


def limit_warps(numbers: Numbers) -> Numbers:
    """Return the parameters with which block matches are refined."""
    return numbers._replace(warps=min(numbers.warps, MATCH_WARPS))


class Grids(NamedTuple):
    """Pyramid: sizes (levels, 2) from fine to coarse, and the filter applied before each step.

    `fine` and `coarse` are the levels of block matching, about 1/4 and 1/8 of the frame; -1 if the
    frame is too small for them.
    """

    sizes: NDArray[np.int64]
    taps: NDArray[np.float32]
    one: NDArray[np.float32]
    fine: int
    coarse: int


def make_grids(size: Size, *, factor: float, levels: int, smoothing: float) -> Grids:
    """Return a pyramid of at most `levels` levels, none with a side below SMALLEST."""
    sizes = [size]
    while len(sizes) < levels:
        rows, columns = (round(side * factor) for side in sizes[-1])
        if min(rows, columns) < SMALLEST:
            break
        sizes.append((rows, columns))
    scales = [rows / size[0] for rows, _ in sizes]
    fine, coarse = (int(np.argmin([abs(s - scale) for s in scales])) for scale in (1 / 4, 1 / 8))
    if not (0.2 < scales[fine] < 0.35 and 0.09 < scales[coarse] < 0.16):
        fine = coarse = -1
    return Grids(
        sizes=np.array(sizes, np.int64),
        taps=make_gaussian(smoothing * np.sqrt(1 / factor**2 - 1)),
        one=np.ones(1, np.float32),
        fine=fine,
        coarse=coarse,
    )


def make_gaussian(sigma: float) -> NDArray[np.float32]:
    """Return the weights of a Gaussian cut at three sigma; a single 1 if sigma is 0."""
    radius = min(int(np.ceil(3 * sigma)), 5)
    distance = np.arange(-radius, radius + 1)
    weights: NDArray[np.float64] = np.exp(-0.5 * (distance / max(sigma, 1e-9)) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)
