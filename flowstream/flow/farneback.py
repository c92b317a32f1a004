"""Farnebäck's polynomial expansion, by OpenCV: fast, blurs motion boundaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from flowstream.flow.opencv import OpenCVMethod
from flowstream.types import Images, Vectors


@dataclass(frozen=True)
class Farneback(OpenCVMethod):
    """Dense flow from quadratic polynomials fitted to the neighbourhood of each pixel.

    The defaults are those of OpenCV's examples. OpenCV's names are given in parentheses.

    Parameters
    ----------
    pyramid_factor : float
        Size of a pyramid level relative to the next finer one, above 0 and below 1 (`pyr_scale`).
    levels : int
        Maximum number of pyramid levels in addition to the image; OpenCV omits levels with a side
        below 32 pixels. (OpenCV's documentation counts the image too, its code does not.)
    window : int
        Side of the averaging window in pixels (`winsize`). A larger window follows faster motion
        and blurs more.
    iterations : int
        Iterations per level.
    neighbourhood : int
        Side of the neighbourhood of the polynomial fit in pixels, odd (`poly_n`).
    smoothing : float
        Standard deviation of the Gaussian weights of the fit in pixels (`poly_sigma`).
    gaussian : bool
        Use a Gaussian window instead of a box, which is slower and slightly more accurate.

    Raises
    ------
    ParameterError
        If a parameter is outside its range.

    References
    ----------
    G. Farnebäck, "Two-Frame Motion Estimation Based on Polynomial Expansion", SCIA 2003.
    doi:10.1007/3-540-45103-X_50
    """

    name: ClassVar[str] = "farneback"

    pyramid_factor: float = 0.5
    levels: int = 3
    window: int = 15
    iterations: int = 3
    neighbourhood: int = 5
    smoothing: float = 1.2
    gaussian: bool = False

    def __post_init__(self) -> None:
        odd = self.neighbourhood % 2 == 1
        self.check_parameters(
            (
                ("pyramid_factor", 0 < self.pyramid_factor < 1, "above 0 and below 1"),
                ("levels", self.levels >= 0, "at least 0"),
                ("window", self.window >= 3, "at least 3"),
                ("iterations", self.iterations >= 1, "at least 1"),
                ("neighbourhood", odd and 3 <= self.neighbourhood <= 15, "odd, 3 to 15"),
                # With a narrower Gaussian the weights of the neighbours vanish, and the fit is
                # singular.
                ("smoothing", 0.3 <= self.smoothing < np.inf, "at least 0.3"),
            )
        )

    def estimate_pair(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow with `cv2.calcOpticalFlowFarneback`."""
        flow = np.empty((*first.shape, 2), np.float32)
        cv2.calcOpticalFlowFarneback(
            first,
            second,
            flow,
            pyr_scale=self.pyramid_factor,
            levels=self.levels,
            winsize=self.window,
            iterations=self.iterations,
            poly_n=self.neighbourhood,
            poly_sigma=self.smoothing,
            flags=cv2.OPTFLOW_FARNEBACK_GAUSSIAN if self.gaussian else 0,
        )
        return flow
