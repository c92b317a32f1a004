"""Base of the methods that OpenCV computes, one pair at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import numpy as np

from flowstream.errors import ParameterError
from flowstream.flow.method import FlowMethod
from flowstream.types import Images, Vectors


class OpenCVMethod(FlowMethod):
    """Flow method of OpenCV, with luma frames and one call per pair."""

    @property
    def batch(self) -> int:
        """Pairs that are stored together; OpenCV computes them one by one."""
        return 4

    @abstractmethod
    def estimate_pair(self, first: Images, second: Images) -> Vectors:
        """Return the flow of two contiguous (H, W) frames as OpenCV does: (H, W, 2), float32."""

    def estimate(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow of each pair."""
        rows, columns = first.shape[1:3]
        vectors = np.empty((len(first), 2, rows, columns), np.float32)
        for one, other, field in zip(first, second, vectors, strict=True):
            flow = self.estimate_pair(np.ascontiguousarray(one), np.ascontiguousarray(other))
            field[:] = np.moveaxis(flow, 2, 0)
        return vectors

    def check_parameters(self, conditions: Iterable[tuple[str, bool, str]]) -> None:
        """Raise `ParameterError` at the first condition that is false.

        Parameters
        ----------
        conditions : iterable of (name of the parameter, condition, expected values)
        """
        for parameter, is_valid, expected in conditions:
            if not is_valid:
                raise ParameterError(
                    f"flow method {self.name!r}: {parameter}: "
                    f"expected {expected}, got {getattr(self, parameter)!r}"
                )
