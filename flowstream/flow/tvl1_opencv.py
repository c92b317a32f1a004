"""TV-L1 of OpenCV (opencv_contrib): slow, compatible with existing datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from flowstream.errors import MissingDependencyError
from flowstream.flow.opencv import OpenCVMethod
from flowstream.types import Images, Vectors


@dataclass(frozen=True)
class TVL1OpenCV(OpenCVMethod):
    """Dense flow that minimises total variation plus |brightness difference|.

    The defaults are OpenCV's. OpenCV's parameter `useInitialFlow` is not available, because there
    is no initial flow.

    Parameters
    ----------
    attachment : float
        Weight of the brightness difference (lambda); a smaller value gives smoother flow.
    tightness : float
        Coupling of the solutions of the two terms (theta); a smaller value couples them tighter.
    time_step : float
        Step of the gradient descent of the dual variable (tau).
    levels : int
        Maximum number of pyramid levels; OpenCV omits levels with a side below 16 pixels.
    pyramid_factor : float
        Size of a level relative to the next finer one, above 0 and below 1 (`scaleStep`).
    warps : int
        Number of times per level that the second image is warped by the flow.
    outer_iterations, inner_iterations : int
        Iterations per warp: the median filter is applied `outer_iterations` times, and the solver
        takes up to `inner_iterations` steps before each of them.
    tolerance : float
        A warp ends when the mean squared change of the flow is below the square of this number
        (epsilon).
    illumination : float
        Weight of the changes of lighting, which are estimated together with the flow (gamma);
        0 means none.
    median_filter : {1, 3, 5}
        Width of the median filter of the flow in pixels; 1 means none.

    Raises
    ------
    ParameterError
        If a parameter is outside its range.
    MissingDependencyError
        If the installed OpenCV lacks the contributed modules.

    References
    ----------
    C. Zach, T. Pock, H. Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow",
    DAGM 2007. doi:10.1007/978-3-540-74936-3_22

    J. Sánchez Pérez, E. Meinhardt-Llopis, G. Facciolo, "TV-L1 Optical Flow Estimation",
    IPOL 2013. doi:10.5201/ipol.2013.26
    """

    name: ClassVar[str] = "tvl1_opencv"

    attachment: float = 0.15
    tightness: float = 0.3
    time_step: float = 0.25
    levels: int = 5
    pyramid_factor: float = 0.8
    warps: int = 5
    outer_iterations: int = 10
    inner_iterations: int = 30
    tolerance: float = 0.01
    illumination: float = 0.0
    median_filter: int = 5

    def __post_init__(self) -> None:
        if not hasattr(cv2, "optflow"):
            raise MissingDependencyError(
                "flow method 'tvl1_opencv' needs 'opencv-contrib-python', but the installed OpenCV "
                f"{cv2.__version__} has no cv2.optflow; install it with: "
                "pip uninstall opencv-python; pip install opencv-contrib-python"
            )
        self.check_parameters(
            (
                ("attachment", 0 < self.attachment < np.inf, "above 0"),
                ("tightness", 0 < self.tightness < np.inf, "above 0"),
                ("time_step", 0 < self.time_step < np.inf, "above 0"),
                ("levels", self.levels >= 1, "at least 1"),
                ("pyramid_factor", 0 < self.pyramid_factor < 1, "above 0 and below 1"),
                ("warps", self.warps >= 1, "at least 1"),
                ("outer_iterations", self.outer_iterations >= 1, "at least 1"),
                ("inner_iterations", self.inner_iterations >= 1, "at least 1"),
                ("tolerance", 0 <= self.tolerance < np.inf, "at least 0"),
                ("illumination", 0 <= self.illumination < np.inf, "at least 0"),
                ("median_filter", self.median_filter in (1, 3, 5), "1, 3 or 5"),
            )
        )

    def estimate_pair(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow with `cv2.optflow.DualTVL1OpticalFlow`."""
        # A new object for each pair, because it is not thread-safe.
        solver = cv2.optflow.DualTVL1OpticalFlow.create(
            tau=self.time_step,
            lambda_=self.attachment,
            theta=self.tightness,
            nscales=self.levels,
            warps=self.warps,
            epsilon=self.tolerance,
            innnerIterations=self.inner_iterations,  # OpenCV's spelling
            outerIterations=self.outer_iterations,
            scaleStep=self.pyramid_factor,
            gamma=self.illumination,
            medianFiltering=self.median_filter,
            useInitialFlow=False,
        )
        flow = np.empty((*first.shape, 2), np.float32)
        solver.calc(first, second, flow)
        return flow
