"""TV-L1: dense flow with sharp motion boundaries, by total variation and absolute differences."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from flowstream.errors import ParameterError, did_you_mean
from flowstream.flow.kernels.tvl1_parameters import (
    PRESETS,
    Alignment,
    Engine,
    Gradients,
    Grids,
    Matching,
    Numbers,
    Outside,
    Preset,
    Scheme,
    make_grids,
)
from flowstream.flow.tensor_method import TensorMethod, estimate_in_batches, fit_pairs
from flowstream.flow.tvl1_checks import Acceleration, Precision, check_parameter, parameter_error
from flowstream.types import Images, Size, Vectors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TVL1(TensorMethod):
    """Dense flow that minimises the total variation of the flow plus |brightness difference|.

    The energy is E(u) = ∫ |∇u| + λ |I₂(x + u) − I₁(x)| (Zach, Pock & Bischof 2007, equation 3),
    linearised at each warp (equation 5) on a pyramid from coarse to fine.

    A parameter that is not given has the value of the preset. The defaults shown are those of the
    preset "default".

    Parameters
    ----------
    preset : {"default", "fast", "accurate", "opencv"}
        Values of the parameters that are not given. "opencv" has the parameters, schedule and
        border of OpenCV's DualTVL1, for compatibility with existing data.
    scheme : {"joint", "separate"}
        "joint": primal-dual iterations for the energy itself (Chambolle & Pock 2011), |∇u| over
        both components together. "separate": v and p in turn (Zach et al., equations 9 to 12; IPOL
        2013, algorithm 1), |∇u₁| + |∇u₂|.
    attachment : float
        λ, the weight of brightness for grey values 0...255; a smaller value gives smoother flow.
    tightness : float
        θ. "separate": the coupling (u − v)² / 2θ (Zach et al., equation 6). "joint": the primal
        step; it changes the speed of convergence only.
    time_step : float
        τ: the dual step is τ/θ (IPOL 2013, equation 17). At most 1/4 in practice; the convergence
        proof of "joint" requires 1/8.
    warps, finest_warps : int
        Number of linearisations per level: `finest_warps` on the finest level, one more on each
        coarser one, at most `warps`.
    outer_iterations, inner_iterations : int
        Iterations per warp: `outer_iterations` times a median filter and `inner_iterations`. The
        filter comes last in "joint" and first in "separate", as in OpenCV.
    tolerance : float
        "separate": a warp ends when the root mean square change of the flow in one iteration is
        below this number of pixels (IPOL 2013, ε); tested every 5 iterations. Not used by "joint".
    pyramid_factor : float
        Size of a level relative to the next finer one, 0.5 to 0.95.
    levels : int or "auto"
        Number of pyramid levels, fewer if a side would be below 16; "auto": as many as fit.
    smoothing : float
        Gaussian filter before each reduction: sigma is this times sqrt(1 / factor² − 1) (IPOL 2013,
        section 3.3); 0 means none.
    alignment : {"sizes", "factor"}
        Relation of positions on two levels: the ratio of the sizes, or the factor (OpenCV).
    median_filter : {0, 5}
        Width of the median filter of each component (Wedel et al. 2009); 0 means none.
    weighted_median : {0, 3, 5, 7, 9, 11}
        Width of the median filter weighted by the image (Sun, Roth & Black 2010). It replaces the
        plain one after the last `weighted_warps` warps of each of the `weighted_levels` finest
        levels; 0 means none.
    weighted_levels, weighted_warps : int
        See `weighted_median`.
    edge_contrast : float
        Image gradient, grey values per pixel, that halves the weight of |∇u|; 0 means equal weights
        everywhere. Used by "joint".
    texture : float
        Fraction of the image's structure that is removed before matching, so that shadows and
        changes of light cause no motion (Wedel et al. 2009); 0 matches brightness. The rest is
        relative to the mean of the frame, because exposure changes. 1 resists local changes of
        light best; thin limbs are found more often below 1.
    texture_iterations : int
        Iterations that compute the structure.
    gradients : {"blended", "second"}
        "blended": mean of the five-point derivatives of both images. "second": central differences
        of the second image, warped.
    outside : {"ignored", "black"}
        Match of a pixel that leaves the frame: none, or 0 as in OpenCV.
    cubic : float
        Keys' parameter of bicubic interpolation: −0.5 is exact for parabolas, −0.75 is OpenCV's.
    matching : {"none", "blocks", "regions"}
        "blocks": on a quarter of the frame's size, also try displacements of up to 64 pixels that
        block matching finds, and use them where the images agree better (after Brox & Malik 2011);
        fast objects are lost otherwise. "regions": also where they agree better on average over a
        region of similar matches, for flat parts of objects. Sides below 128 are too small for it.
    threads : int
        Number of pairs of a batch computed at the same time by the numba engine, or matched at the
        same time for the torch engine on the CPU; 0: one per processor. It changes no result.
    device : {"auto", "cpu", "cuda", "cuda:<i>", "mps"}
        "auto" is "cpu" unless `engine` is "torch"; then CUDA, else MPS, else the CPU.
    engine : {"auto", "numba", "torch"}
        "auto" is numba on the CPU and torch elsewhere. Their fields differ by less than 0.02 px on
        average.
    acceleration : {"auto", "none", "compile", "triton"}
        Inner loops of the torch engine. "compile": `torch.compile`, which takes about a minute at
        the first call. "triton": kernels that keep a tile on the chip over several iterations.
        "auto": "triton" on CUDA. It does not change the result by more than rounding.
    precision : {"float32", "mixed"}
        "mixed": the torch engine stores derivatives, edge weights and dual variables in half
        precision, and computes in float32. It does not change the result by more than rounding.
    graphs : bool
        "joint" on CUDA: record the work of a batch, and replay it for batches of the same shape.

    Raises
    ------
    ParameterError
        If a parameter is unknown or outside its range.

    References
    ----------
    C. Zach, T. Pock, H. Bischof, "A duality based approach for realtime TV-L1 optical flow", DAGM
    2007. doi:10.1007/978-3-540-74936-3_22
    J. Sánchez Pérez, E. Meinhardt-Llopis, G. Facciolo, "TV-L1 optical flow estimation", IPOL 2013.
    doi:10.5201/ipol.2013.26
    A. Wedel, T. Pock, C. Zach, H. Bischof, D. Cremers, "An improved algorithm for TV-L1 optical
    flow", 2009. doi:10.1007/978-3-642-03061-1_2
    T. Brox, J. Malik, "Large displacement optical flow", PAMI 2011. doi:10.1109/TPAMI.2010.143
    D. Sun, S. Roth, M. Black, "Secrets of optical flow estimation and their principles", CVPR 2010.
    doi:10.1109/CVPR.2010.5539939
    A. Chambolle, T. Pock, "A first-order primal-dual algorithm for convex problems with
    applications to imaging", 2011. doi:10.1007/s10851-010-0251-1
    """

    name: ClassVar[str] = "tvl1"

    # Provenance holds the values, so two ways to specify the same values give equal methods.
    preset: Preset = field(default="default", compare=False)
    scheme: Scheme = "joint"
    attachment: float = 0.13
    tightness: float = 0.5
    time_step: float = 0.125
    warps: int = 5
    finest_warps: int = 2
    outer_iterations: int = 1
    inner_iterations: int = 22
    tolerance: float = 0.0
    pyramid_factor: float = 0.5
    levels: int | Literal["auto"] = "auto"
    smoothing: float = 0.6
    alignment: Alignment = "sizes"
    median_filter: int = 5
    weighted_median: int = 0
    weighted_levels: int = 0
    weighted_warps: int = 0
    edge_contrast: float = 8.0
    texture: float = 0.95
    texture_iterations: int = 40
    gradients: Gradients = "blended"
    outside: Outside = "ignored"
    cubic: float = -0.75
    matching: Matching = "blocks"
    threads: int = field(default=1, compare=False)
    device: str = field(default="auto", compare=False)
    engine: Engine = field(default="auto", compare=False)
    acceleration: Acceleration = field(default="auto", compare=False)
    precision: Precision = field(default="float32", compare=False)
    graphs: bool = field(default=True, compare=False)

    def __init__(self, preset: Preset = "default", **given: Any) -> None:
        values = {parameter.name: parameter.default for parameter in fields(self)}
        unknown = next((name for name in given if name not in values), None)
        if unknown is not None:
            raise ParameterError(
                f"flow method 'tvl1': unknown parameter {unknown!r}.{did_you_mean(unknown, values)}"
            )
        check_parameter("preset", preset)
        for parameter, value in {**values, **PRESETS[preset], "preset": preset, **given}.items():
            check_parameter(parameter, value)
            object.__setattr__(self, parameter, value)
        if self.engine == "torch" or self.device not in ("auto", "cpu"):
            from flowstream.device import choose_device

            object.__setattr__(self, "device", str(choose_device(self.device)))
        else:
            object.__setattr__(self, "device", "cpu")
        if self.engine == "numba" and self.device != "cpu":
            raise parameter_error("device", self.device, "'cpu', or engine='torch'")

    @classmethod
    def presets(cls) -> dict[str, dict[str, Any]]:
        """Return the values of each preset."""
        return {str(name): values for name, values in PRESETS.items()}

    @property
    def batch(self) -> int:
        """Several pairs for each thread, so that threads finish at about the same time."""
        if self._uses_torch:
            return 16
        return 8 * self._num_threads

    @property
    def _num_threads(self) -> int:
        return self.threads or os.cpu_count() or 1

    @property
    def _uses_torch(self) -> bool:
        return self.engine == "torch" or self.device != "cpu"

    def pairs_at_once(self, size: Size) -> int:
        """Return the largest number of pairs of frames of this size in a batch."""
        return 16 if self.device == "cpu" else fit_pairs(size)

    def estimate(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow of each pair, one thread per pair."""
        forward: Vectors = self._solve(first, second, directions=1)[0]
        return forward

    def estimate_both(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """Estimate the flow in both directions; pyramids of a frame are computed once."""
        forward, backward = self._solve(first, second, directions=2)
        return forward, backward

    def estimate_tensors(self, frames: Tensor, pairs: Tensor, *, directions: int) -> Tensor:
        """Estimate the flow of pairs by the torch engine; on CUDA, a known shape is replayed."""
        from flowstream.flow.kernels import tvl1_torch

        options = tvl1_torch.Options(
            acceleration=tvl1_torch.choose_acceleration(self.acceleration, frames.device),
            mixed=self.precision == "mixed",
            threads=self._num_threads,
        )
        settings: dict[str, Any] = {
            "numbers": self.numbers(),
            "grids": self.grids((frames.shape[1], frames.shape[2])),
            "directions": directions,
            "options": options,
        }
        if frames.device.type == "cuda" and self.graphs and self.scheme == "joint":
            key = (self, options, directions)
            return tvl1_torch.replay_pairs(frames, pairs, key=key, **settings)
        return tvl1_torch.solve_pairs(frames, pairs, **settings)

    def _solve(self, first: Images, second: Images, *, directions: int) -> Vectors:
        if self._uses_torch:
            return estimate_in_batches(self, first, second, directions=directions)
        from flowstream.flow.kernels.tvl1_numba import solve_pairs

        return solve_pairs(
            first,
            second,
            numbers=self.numbers(),
            grids=self.grids((first.shape[1], first.shape[2])),
            directions=directions,
            threads=self._num_threads,
        )

    def grids(self, size: Size) -> Grids:
        """Return the pyramid for frames of this size, in the form that the kernels use."""
        return make_grids(
            size,
            factor=float(self.pyramid_factor),
            levels=1000 if self.levels == "auto" else int(self.levels),
            smoothing=float(self.smoothing),
        )

    def numbers(self) -> Numbers:
        """Return the parameters in the form that the kernels use."""
        return Numbers(
            joint=int(self.scheme == "joint"),
            attachment=float(self.attachment),
            primal_step=float(self.tightness),
            dual_step=float(self.time_step) / float(self.tightness),
            warps=int(self.warps),
            finest_warps=int(self.finest_warps),
            outer_iterations=int(self.outer_iterations),
            inner_iterations=int(self.inner_iterations),
            tolerance=float(self.tolerance),
            median=int(self.median_filter),
            weighted_radius=int(self.weighted_median) // 2,
            weighted_levels=int(self.weighted_levels),
            weighted_warps=int(self.weighted_warps),
            contrast=float(self.edge_contrast),
            texture=float(self.texture),
            texture_iterations=int(self.texture_iterations),
            blended=int(self.gradients == "blended"),
            black=int(self.outside == "black"),
            cubic=float(self.cubic),
            shrink=float(self.pyramid_factor) if self.alignment == "factor" else 0.0,
            matching=get_args(Matching).index(self.matching),
        )
