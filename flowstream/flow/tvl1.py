"""TV-L1: dense flow that keeps motion boundaries, by total variation and absolute differences."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

from flowstream.errors import ParameterError, did_you_mean
from flowstream.flow.kernels.tvl1_numbers import Grids, Numbers, make_grids
from flowstream.flow.method import FlowMethod
from flowstream.types import Images, Size, Vectors

Preset = Literal["default", "fast", "accurate", "opencv"]
Scheme = Literal["joint", "separate"]
Gradients = Literal["blended", "second"]
Outside = Literal["ignored", "black"]
Alignment = Literal["sizes", "factor"]
Engine = Literal["auto", "numba", "torch"]

# How each number was chosen: on pairs with exact truth (layered scenes with affine and non-rigid
# motion, occlusion, changes of light), on one of KITTI and on real clips against RAFT; the
# Middlebury pairs only confirmed. `opencv` is cv2.optflow.DualTVL1OpticalFlow's own defaults.
_DEFAULT: dict[str, Any] = {
    "scheme": "joint",
    "attachment": 0.15,
    "tightness": 0.5,
    "time_step": 0.125,
    "warps": 5,
    "finest_warps": 2,
    "outer_iterations": 1,
    "inner_iterations": 20,
    "tolerance": 0.0,
    "pyramid_factor": 0.5,
    "levels": "auto",
    "smoothing": 0.6,
    "alignment": "sizes",
    "median_filter": 5,
    "weighted_median": 0,
    "weighted_levels": 0,
    "weighted_warps": 0,
    "edge_contrast": 12.0,
    "texture": 0.9,
    "texture_iterations": 30,
    "gradients": "blended",
    "outside": "ignored",
    "cubic": -0.75,
}
PRESETS: dict[Preset, dict[str, Any]] = {
    "default": _DEFAULT,
    "fast": {**_DEFAULT, "finest_warps": 1, "texture_iterations": 20},
    "accurate": {
        **_DEFAULT,
        "finest_warps": 5,
        "inner_iterations": 30,
        "pyramid_factor": 0.7,
        "weighted_median": 11,
        "weighted_levels": 2,
        "weighted_warps": 2,
        "texture_iterations": 40,
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
    },
}

_CHOICES: dict[str, tuple[Any, ...]] = {
    "preset": get_args(Preset),
    "scheme": get_args(Scheme),
    "alignment": get_args(Alignment),
    "gradients": get_args(Gradients),
    "outside": get_args(Outside),
    "engine": get_args(Engine),
    "median_filter": (0, 5),
    "weighted_median": (0, 3, 5, 7, 9, 11),
}
_RANGES: dict[str, tuple[float, float]] = {
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


@dataclass(frozen=True)
class TVL1(FlowMethod):
    """Dense flow that minimises the total variation of the flow plus |difference of brightness|.

    The energy is E(u) = ∫ |∇u| + λ |I₂(x + u) − I₁(x)| (Zach, Pock & Bischof 2007, equation 3),
    linearised at each warp (equation 5) on a pyramid from coarse to fine.

    A parameter left None has its preset's number; after construction none is None, so that a record
    of the method says every number whichever way it was given. `dataclasses.replace` therefore
    keeps the numbers of the preset it started from.

    Parameters
    ----------
    preset : {"default", "fast", "accurate", "opencv"}
        Where numbers that are not given come from. `opencv` has the parameters, schedule and
        border of OpenCV's DualTVL1, for data that must match older data.
    scheme : {"joint", "separate"}
        "joint": primal-dual iterations for the energy itself (Chambolle & Pock 2011), |∇u| over
        both components together. "separate": v and p in turn (Zach et al., equations 9 to 12; IPOL
        2013, algorithm 1), |∇u₁| + |∇u₂|.
    attachment : float
        λ, the weight of brightness, of images in 0...255: smaller is smoother.
    tightness : float
        θ. "separate": the coupling (u − v)² / 2θ (Zach et al., equation 6). "joint": the primal
        step only; it changes how fast, not where to the iterations go.
    time_step : float
        τ: the dual step is τ/θ (IPOL 2013, equation 17). At most 1/4 in practice; the proof for
        "joint" asks 1/8.
    warps, finest_warps : int
        Linearisations a level: `finest_warps` on the finest, one more on each coarser one, at most
        `warps`.
    outer_iterations, inner_iterations : int
        Iterations a warp: `outer_iterations` times a median filter and `inner_iterations`. The
        filter comes last in "joint", first in "separate", as in OpenCV.
    tolerance : float
        "separate": a warp ends when the flow's root mean square change in an iteration is below
        it, pixels (IPOL 2013, ε); tested every 5. "joint" does not test.
    pyramid_factor : float
        Size of a level over that of the next finer one, 0.5 to 0.95.
    levels : int or "auto"
        Levels of the pyramid, fewer where a side would fall below 16; "auto" is as many as fit.
    smoothing : float
        Gaussian before each halving: sigma is this times sqrt(1 / factor² − 1) (IPOL 2013, section
        3.3); 0 is none.
    alignment : {"sizes", "factor"}
        Whether positions on two levels relate as the levels' sizes do, or by the factor (OpenCV).
    median_filter : {0, 5}
        Width of the median filter of each component (Wedel et al. 2009); 0 is none.
    weighted_median : {0, 3, 5, 7, 9, 11}
        Width of the median filter weighted by the image (Sun, Roth & Black 2010) that replaces the
        plain one after the last `weighted_warps` warps of each of the `weighted_levels` finest
        levels; 0 is none.
    weighted_levels, weighted_warps : int
    edge_contrast : float
        Image gradient, grey values per pixel, that halves the weight of |∇u|; 0 weighs all alike.
        For "joint".
    texture : float
        Share of the image's structure that is taken away before matching, so that shadows and
        changes of light do not move (Wedel et al. 2009); 0 matches brightness.
    texture_iterations : int
    gradients : {"blended", "second"}
        "blended": five-point derivatives of both images, half and half. "second": central
        differences of the second image, warped.
    outside : {"ignored", "black"}
        What a pixel is compared with that leaves the frame: nothing, or 0 as in OpenCV.
    cubic : float
        Keys' parameter of bicubic interpolation: −0.5 is exact for parabolas, −0.75 is OpenCV's.
    threads : int
        Pairs of a batch computed at the same time by the numba engine; 0 is one a processor.
        Changes no result.
    device : {"auto", "cpu", "cuda", "cuda:<i>", "mps"}
        "auto" is "cpu" unless `engine` is "torch"; then CUDA, else MPS, else the CPU.
    engine : {"auto", "numba", "torch"}
        "auto" is numba on the CPU and torch elsewhere. Their fields differ by less than 0.02 px in
        the mean.

    Raises
    ------
    ParameterError
        If a parameter is outside its range.

    References
    ----------
    C. Zach, T. Pock, H. Bischof, "A duality based approach for realtime TV-L1 optical flow", DAGM
    2007. doi:10.1007/978-3-540-74936-3_22
    J. Sánchez Pérez, E. Meinhardt-Llopis, G. Facciolo, "TV-L1 optical flow estimation", IPOL 2013.
    doi:10.5201/ipol.2013.26
    A. Wedel, T. Pock, C. Zach, H. Bischof, D. Cremers, "An improved algorithm for TV-L1 optical
    flow", 2009. doi:10.1007/978-3-642-03061-1_2
    D. Sun, S. Roth, M. Black, "Secrets of optical flow estimation and their principles", CVPR 2010.
    doi:10.1109/CVPR.2010.5539939
    A. Chambolle, T. Pock, "A first-order primal-dual algorithm for convex problems with
    applications to imaging", 2011. doi:10.1007/s10851-010-0251-1
    """

    name: ClassVar[str] = "tvl1"

    # What stands in a record are the numbers; two ways to say the same are the same method.
    preset: Preset = field(default="default", compare=False)
    scheme: Scheme | None = None
    attachment: float | None = None
    tightness: float | None = None
    time_step: float | None = None
    warps: int | None = None
    finest_warps: int | None = None
    outer_iterations: int | None = None
    inner_iterations: int | None = None
    tolerance: float | None = None
    pyramid_factor: float | None = None
    levels: int | Literal["auto"] | None = None
    smoothing: float | None = None
    alignment: Alignment | None = None
    median_filter: int | None = None
    weighted_median: int | None = None
    weighted_levels: int | None = None
    weighted_warps: int | None = None
    edge_contrast: float | None = None
    texture: float | None = None
    texture_iterations: int | None = None
    gradients: Gradients | None = None
    outside: Outside | None = None
    cubic: float | None = None
    threads: int = field(default=1, compare=False)
    device: str = field(default="auto", compare=False)
    engine: Engine = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        self._check(fields(self)[0].name)
        for parameter, number in PRESETS[self.preset].items():
            if getattr(self, parameter) is None:
                object.__setattr__(self, parameter, number)
        for parameter in (*_CHOICES, *_RANGES, "levels"):
            self._check(parameter)
        if self.engine == "torch" or self.device not in ("auto", "cpu"):
            from flowstream.flow.kernels.tvl1_torch import chosen_device

            object.__setattr__(self, "device", str(chosen_device(self.device)))
        else:
            object.__setattr__(self, "device", "cpu")
        if self.engine == "numba" and self.device != "cpu":
            raise self._refusal("device", "'cpu', or engine='torch'")

    def _check(self, parameter: str) -> None:
        value: Any = getattr(self, parameter)
        if parameter in _CHOICES and value not in _CHOICES[parameter]:
            known = _CHOICES[parameter]
            hint = did_you_mean(str(value), map(str, known))
            raise self._refusal(parameter, f"one of: {', '.join(map(str, known))}.{hint}")
        if parameter in _RANGES:
            low, high = _RANGES[parameter]
            if not (low <= value <= high and value < math.inf):
                expected = f"at least {low}" if high == math.inf else f"{low} to {high}"
                raise self._refusal(parameter, expected)
        if (
            parameter == "levels"
            and value != "auto"
            and not (isinstance(value, int) and value >= 1)
        ):
            raise self._refusal(parameter, "'auto' or a number of at least 1")

    def _refusal(self, parameter: str, expected: str) -> ParameterError:
        value = getattr(self, parameter)
        return ParameterError(
            f"flow method 'tvl1': {parameter}: got {value!r}, expected {expected}"
        )

    @property
    def batch(self) -> int:
        """Some pairs for each thread, so that none waits long for the last."""
        if self._by_torch:
            return 16
        return 8 * self._num_threads

    @property
    def _num_threads(self) -> int:
        return self.threads or os.cpu_count() or 1

    @property
    def _by_torch(self) -> bool:
        return self.engine == "torch" or self.device != "cpu"

    def estimate(self, first: Images, second: Images) -> Vectors:
        """Flow of each pair; one pair takes one thread."""
        rows, columns = first.shape[1:3]
        numbers, grids = self.numbers(), self.grids((rows, columns))
        if self._by_torch:
            from flowstream.flow.kernels.tvl1_torch import solve_batch

            return solve_batch(first, second, numbers=numbers, grids=grids, device=self.device)
        from flowstream.flow.kernels.tvl1_numba import solve_pairs

        threads = self._num_threads
        return solve_pairs(first, second, numbers=numbers, grids=grids, threads=threads)

    def grids(self, size: Size) -> Grids:
        """The pyramid for frames of this size, as the kernels take it."""
        given: Any = self
        levels = 1000 if given.levels == "auto" else int(given.levels)
        return make_grids(
            size,
            factor=float(given.pyramid_factor),
            levels=levels,
            smoothing=float(given.smoothing),
        )

    def numbers(self) -> Numbers:
        """The parameters as the kernels take them."""
        given: Any = self
        return Numbers(
            joint=int(given.scheme == "joint"),
            attachment=float(given.attachment),
            primal_step=float(given.tightness),
            dual_step=float(given.time_step) / float(given.tightness),
            warps=int(given.warps),
            finest_warps=int(given.finest_warps),
            outer_iterations=int(given.outer_iterations),
            inner_iterations=int(given.inner_iterations),
            tolerance=float(given.tolerance),
            median=int(given.median_filter),
            weighted_radius=int(given.weighted_median) // 2,
            weighted_levels=int(given.weighted_levels),
            weighted_warps=int(given.weighted_warps),
            contrast=float(given.edge_contrast),
            texture=float(given.texture),
            texture_iterations=int(given.texture_iterations),
            blended=int(given.gradients == "blended"),
            black=int(given.outside == "black"),
            cubic=float(given.cubic),
            shrink=float(given.pyramid_factor) if given.alignment == "factor" else 0.0,
        )
