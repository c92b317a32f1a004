"""TV-L1 as OpenCV has it (opencv_contrib), slow: for data sets that must match older ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from flowstream.errors import MissingDependencyError, ParameterError
from flowstream.flow.method import FlowMethod
from flowstream.types import Images, Vectors


@dataclass(frozen=True)
class TVL1OpenCV(FlowMethod):
    """Dense flow of least total variation and absolute brightness difference, by OpenCV.

    Defaults are OpenCV's. Its parameter `useInitialFlow` has no counterpart: there is no flow to
    start from.

    Parameters
    ----------
    attachment : float
        Weight of the brightness difference against smoothness (lambda); smaller is smoother.
    tightness : float
        How tightly the two terms' solutions are coupled (theta); smaller is tighter.
    time_step : float
        Step of the dual's gradient descent (tau).
    levels : int
        Pyramid levels at most; OpenCV leaves out those with a side below 16 pixels.
    pyramid_factor : float
        Size of a level relative to the finer one, above 0 and below 1 (`scaleStep`).
    warps : int
        Times that the second image is warped by the flow, a level.
    outer_iterations, inner_iterations : int
        Iterations a warp: the median filter is applied `outer_iterations` times, and before each
        time come up to `inner_iterations` steps of the solver.
    tolerance : float
        A warp ends when the mean squared change of the flow falls below its square (epsilon).
    illumination : float
        Weight of a field of lighting changes that is estimated too (gamma); 0 for none.
    median_filter : {1, 3, 5}
        Side of the median filter of the flow, pixels; 1 for none.

    Raises
    ------
    ParameterError
        If a parameter is outside its range.
    MissingDependencyError
        If the installed OpenCV is one without the contributed modules.

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
        for parameter, accepted, expected in (
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
        ):
            if not accepted:
                raise ParameterError(
                    f"flow method 'tvl1_opencv': {parameter}: "
                    f"got {getattr(self, parameter)!r}, expected {expected}"
                )

    def estimate(self, first: Images, second: Images) -> Vectors:
        """Flow of each pair by `cv2.optflow.DualTVL1OpticalFlow`."""
        rows, columns = first.shape[1:3]
        vectors = np.empty((len(first), 2, rows, columns), np.float32)
        flow = np.empty((rows, columns, 2), np.float32)
        for one, other, field in zip(first, second, vectors, strict=True):
            # a new one for each pair: threads may not share it
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
            solver.calc(np.ascontiguousarray(one), np.ascontiguousarray(other), flow)
            field[:] = np.moveaxis(flow, 2, 0)
        return vectors
