"""TV-L1: dense flow that keeps motion boundaries, by total variation and absolute differences."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from flowstream.errors import ParameterError, did_you_mean
from flowstream.flow.kernels.tvl1_numbers import Grids, Numbers, make_grids
from flowstream.flow.kernels.tvl1_presets import (
    CHOICES,
    PRESETS,
    RANGES,
    Alignment,
    Engine,
    Gradients,
    Outside,
    Preset,
    Scheme,
)
from flowstream.flow.method import FlowMethod
from flowstream.types import Images, Size, Vectors


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
    compiled : bool
        Whether the torch engine fuses its iterations by `torch.compile`, which takes a minute or so
        at the first call.

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
    compiled: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        self._check(fields(self)[0].name)
        for parameter, number in PRESETS[self.preset].items():
            if getattr(self, parameter) is None:
                object.__setattr__(self, parameter, number)
        for parameter in (*CHOICES, *RANGES, "levels"):
            self._check(parameter)
        if self.engine == "torch" or self.device not in ("auto", "cpu"):
            from flowstream.device import choose_device

            object.__setattr__(self, "device", str(choose_device(self.device)))
        else:
            object.__setattr__(self, "device", "cpu")
        if self.engine == "numba" and self.device != "cpu":
            raise self._refusal("device", "'cpu', or engine='torch'")

    def _check(self, parameter: str) -> None:
        value: Any = getattr(self, parameter)
        if parameter in CHOICES and value not in CHOICES[parameter]:
            known = CHOICES[parameter]
            hint = did_you_mean(str(value), map(str, known))
            raise self._refusal(parameter, f"one of: {', '.join(map(str, known))}.{hint}")
        if parameter in RANGES:
            low, high = RANGES[parameter]
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
        forward: Vectors = self._solved(first, second, directions=1)[0]
        return forward

    def estimate_both(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """The same with the flow back, for which nothing of a frame is computed again."""
        forward, backward = self._solved(first, second, directions=2)
        return forward, backward

    def _solved(self, first: Images, second: Images, *, directions: int) -> Vectors:
        rows, columns = first.shape[1:3]
        told: dict[str, Any] = {
            "numbers": self.numbers(),
            "grids": self.grids((rows, columns)),
            "directions": directions,
        }
        if self._by_torch:
            from flowstream.flow.kernels.tvl1_torch import solve_batch

            return solve_batch(first, second, **told, device=self.device, compiled=self.compiled)
        from flowstream.flow.kernels.tvl1_numba import solve_pairs

        return solve_pairs(first, second, **told, threads=self._num_threads)

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
