"""Dense inverse search (DIS), by OpenCV: fastest, with sharp motion boundaries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import cv2
import numpy as np

from flowstream.errors import ParameterError, did_you_mean
from flowstream.flow.method import FlowMethod
from flowstream.types import Images, Size, Vectors

Preset = Literal["ultrafast", "fast", "medium"]

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}

_SETTERS = {
    "finest_scale": "setFinestScale",
    "patch_size": "setPatchSize",
    "patch_stride": "setPatchStride",
    "gradient_descent_iterations": "setGradientDescentIterations",
    "refinement_iterations": "setVariationalRefinementIterations",
    "refinement_smoothness": "setVariationalRefinementAlpha",
    "refinement_colour": "setVariationalRefinementDelta",
    "refinement_gradient": "setVariationalRefinementGamma",
    "mean_normalisation": "setUseMeanNormalization",
    "spatial_propagation": "setUseSpatialPropagation",
}


@dataclass(frozen=True)
class DIS(FlowMethod):
    """Dense flow from patches matched by inverse search, with variational refinement.

    Every parameter except `preset` may be None, which selects the value of OpenCV's preset.

    Parameters
    ----------
    preset : {"ultrafast", "fast", "medium"}
        OpenCV's presets, in order of increasing accuracy and cost.
    finest_scale : int, optional
        Finest pyramid level that is computed, 0 for the full size; the flow is upsampled from it.
        If a frame is too small to have this level, the level two below its coarsest is used.
    patch_size : int, optional
        Side of a patch in pixels, 4 to 16.
    patch_stride : int, optional
        Step between patches in pixels, 1 to `patch_size`.
    gradient_descent_iterations : int, optional
        Iterations of the inverse search per patch.
    refinement_iterations : int, optional
        Fixed-point iterations of the variational refinement per level; 0 disables it.
    refinement_smoothness, refinement_colour, refinement_gradient : float, optional
        Weights of smoothness (alpha), intensity (delta) and gradient constancy (gamma) in the
        refinement.
    mean_normalisation : bool, optional
        Subtract the means of patches before matching, which is robust to changes of lighting.
    spatial_propagation : bool, optional
        Start the search of a patch from the results of its neighbours as well.

    Raises
    ------
    ParameterError
        If a parameter is outside its range.

    References
    ----------
    T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast Optical Flow using Dense Inverse Search",
    ECCV 2016. doi:10.1007/978-3-319-46493-0_29
    """

    name: ClassVar[str] = "dis"

    preset: Preset = "medium"
    finest_scale: int | None = None
    patch_size: int | None = None
    patch_stride: int | None = None
    gradient_descent_iterations: int | None = None
    refinement_iterations: int | None = None
    refinement_smoothness: float | None = None
    refinement_colour: float | None = None
    refinement_gradient: float | None = None
    mean_normalisation: bool | None = None
    spatial_propagation: bool | None = None

    def __post_init__(self) -> None:
        if self.preset not in _PRESETS:
            known = ", ".join(get_args(Preset))
            raise ParameterError(
                f"flow method 'dis': unknown preset {self.preset!r}; known: {known}."
                f"{did_you_mean(str(self.preset), _PRESETS)}"
            )
        # OpenCV pads the frame by 16 pixels; larger patches would read out of bounds
        patch = 8 if self.patch_size is None else self.patch_size
        for parameter, lowest, highest in (
            ("finest_scale", 0, math.inf),
            ("patch_size", 4, 16),
            ("patch_stride", 1, patch),
            ("gradient_descent_iterations", 1, math.inf),
            ("refinement_iterations", 0, math.inf),
            ("refinement_smoothness", 0, math.inf),
            ("refinement_colour", 0, math.inf),
            ("refinement_gradient", 0, math.inf),
        ):
            value = getattr(self, parameter)
            if value is not None and not (lowest <= value <= highest and value < math.inf):
                expected = f"at least {lowest}" if highest == math.inf else f"{lowest} to {highest}"
                raise ParameterError(
                    f"flow method 'dis': {parameter}: expected {expected}, got {value!r}"
                )

    def estimate(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow of each pair with `cv2.DISOpticalFlow`."""
        rows, columns = first.shape[1:3]
        vectors = np.empty((len(first), 2, rows, columns), np.float32)
        for one, other, field in zip(first, second, vectors, strict=True):
            # a new object for each pair, because it keeps state and is not thread-safe
            search = self._make_search((rows, columns))
            top, left = _choose_padding((rows, columns), search.getPatchSize())
            # None: no initial flow; OpenCV's type stubs do not allow it
            flow = search.calc(_pad_frame(one, top, left), _pad_frame(other, top, left), None)  # type: ignore[call-overload]
            field[:] = np.moveaxis(flow[top : top + rows, left : left + columns], 2, 0)
        return vectors

    def _make_search(self, size: Size) -> cv2.DISOpticalFlow:
        search = cv2.DISOpticalFlow.create(_PRESETS[self.preset])
        for parameter, setter in _SETTERS.items():
            value = getattr(self, parameter)
            if value is not None:
                getattr(search, setter)(value)
        patch = search.getPatchSize()
        highest = _highest_scale(size, patch)
        if highest < search.getFinestScale():
            search.setFinestScale(max(highest - 2, 0))
        return search


def _highest_scale(size: Size, patch: int) -> int:
    """Return the coarsest pyramid level that OpenCV computes for a frame.

    OpenCV lowers the finest level of a frame that is too small for it, but considers only the
    width: a 16 x 200 frame then crashes the process (observed with OpenCV 4.8 and 5.0).
    """
    sides = [side + 2 * pad for side, pad in zip(size, _choose_padding(size, patch), strict=True)]
    by_motion = math.log2(max(sides) / (4 * patch)) + 0.5
    by_size = math.log2(min(sides) / patch)
    return int(min(by_motion, by_size))


def _choose_padding(size: Size, patch: int) -> Size:
    """Return the padding, rows and columns, with which two patches fit on each axis."""
    rows, columns = (max(0, math.ceil((2 * patch - side) / 2)) for side in size)
    return rows, columns


def _pad_frame(frame: Images, rows: int, columns: int) -> Images:
    if not rows and not columns:
        return np.ascontiguousarray(frame)
    return np.pad(frame, ((rows, rows), (columns, columns)), mode="edge")
