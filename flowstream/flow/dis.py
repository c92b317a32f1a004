"""Dense inverse search (DIS), by OpenCV: fastest, with sharp motion boundaries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import cv2
import numpy as np

from flowstream.errors import ParameterError, did_you_mean
from flowstream.flow.opencv import OpenCVMethod
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

_LOWEST = {
    "finest_scale": 0,
    "gradient_descent_iterations": 1,
    "refinement_iterations": 0,
    "refinement_smoothness": 0,
    "refinement_colour": 0,
    "refinement_gradient": 0,
}


@dataclass(frozen=True)
class DIS(OpenCVMethod):
    """Dense flow from patches matched by inverse search, with variational refinement.

    A parameter that is None, the default, has the value of OpenCV's preset.

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
        for parameter, value in self.presets()[self.preset].items():
            if getattr(self, parameter) is None:
                object.__setattr__(self, parameter, value)
        patch = self.patch_size or 0
        stride = self.patch_stride or 0
        self.check_parameters(
            (
                # OpenCV pads the frame by 16 pixels; larger patches would read out of bounds.
                ("patch_size", 4 <= patch <= 16, "4 to 16"),
                ("patch_stride", 1 <= stride <= patch, f"1 to {patch}"),
                *(
                    (name, lowest <= getattr(self, name) < math.inf, f"at least {lowest}")
                    for name, lowest in _LOWEST.items()
                ),
            )
        )

    @classmethod
    def presets(cls) -> dict[str, dict[str, Any]]:
        """Return the values of OpenCV's presets."""
        searches = {name: cv2.DISOpticalFlow.create(number) for name, number in _PRESETS.items()}
        return {
            name: {
                parameter: getattr(search, setter.replace("set", "get", 1))()
                for parameter, setter in _SETTERS.items()
            }
            for name, search in searches.items()
        }

    def estimate_pair(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow with `cv2.DISOpticalFlow`."""
        rows, columns = first.shape
        # A new object for each pair, because it keeps state and is not thread-safe.
        search = self._make_search((rows, columns))
        top, left = _choose_padding((rows, columns), search.getPatchSize())
        # None: no initial flow; OpenCV's type stubs do not allow it
        flow = search.calc(_pad_frame(first, top, left), _pad_frame(second, top, left), None)  # type: ignore[call-overload]
        vectors: Vectors = flow[top : top + rows, left : left + columns]
        return vectors

    def _make_search(self, size: Size) -> cv2.DISOpticalFlow:
        search = cv2.DISOpticalFlow.create(_PRESETS[self.preset])
        for parameter, setter in _SETTERS.items():
            getattr(search, setter)(getattr(self, parameter))
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
