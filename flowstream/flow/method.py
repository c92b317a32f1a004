"""Interface of a flow method, which estimates flow fields of pairs of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from flowstream.errors import ShapeError
from flowstream.types import Images, Vectors


class FlowMethod(ABC):
    """Method that estimates dense flow.

    Subclasses are frozen dataclasses; their fields are the parameters of the method.
    Equal methods give equal results. Fields that do not change the result (device, threads) are
    declared with `compare=False`.
    """

    name: ClassVar[str]
    """Name of the method in METHODS."""

    colour: ClassVar[bool] = False
    """True if `estimate` receives RGB frames, False if it receives luma."""

    min_side: ClassVar[int] = 16
    """Smallest accepted side of a frame, in pixels."""

    @classmethod
    def presets(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return the values of the other parameters for each value of the parameter `preset`."""
        return {}

    @property
    def batch(self) -> int:
        """Preferred number of pairs in a batch."""
        return 1

    @property
    def device(self) -> str:
        """Device of the computation, by its name in torch."""
        return "cpu"

    def __call__(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow from each first frame to its second.

        Parameters
        ----------
        first, second : (N, H, W) or (N, H, W, 3), uint8
            Luma or RGB of N pairs; they are not modified.

        Returns
        -------
        (N, 2, H, W), float32
            dx right, dy down, in pixels: the point at (x, y) in `first` is at (x+dx, y+dy) in
            `second`.

        Raises
        ------
        ShapeError
            If the two batches have different or invalid shapes, or a side is below `min_side`.
        """
        return self.estimate(*self._convert(first, second))

    def both_directions(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """Estimate the flow from each first frame to its second frame, and in reverse.

        The result equals that of two calls, the second one with swapped frames, but intermediate
        results may be shared. The backward field is anchored on the second frame: the point at
        (x, y) there is at (x+dx, y+dy) in the first frame. Parameters and errors are those of
        `__call__`.

        Returns
        -------
        forward, backward : (N, 2, H, W), float32
        """
        return self.estimate_both(*self._convert(first, second))

    @abstractmethod
    def estimate(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow of checked frames, which are RGB if `colour`, otherwise luma."""

    def estimate_both(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """Estimate the flow of checked frames in both directions.

        Subclasses override this method if the directions share intermediate results.
        """
        return self.estimate(first, second), self.estimate(second, first)

    def _convert(self, first: Images, second: Images) -> tuple[Images, Images]:
        check_pairs(first, second, min_side=self.min_side)
        convert = as_colour if self.colour else as_luma
        return convert(first), convert(second)


def check_pairs(first: Images, second: Images, *, min_side: int) -> None:
    """Raise `ShapeError` unless both are batches of frames of the same shape."""
    for name, frames in (("first", first), ("second", second)):
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            seen = getattr(frames, "dtype", type(frames).__name__)
            raise ShapeError(f"{name} frames: expected a uint8 array, got {seen}")
        if frames.ndim != 3 and not (frames.ndim == 4 and frames.shape[3] == 3):
            raise ShapeError(
                f"{name} frames: expected shape (N, H, W) or (N, H, W, 3), got {frames.shape}"
            )
        for axis, side in (("rows", frames.shape[1]), ("columns", frames.shape[2])):
            if side < min_side:
                raise ShapeError(
                    f"{name} frames: expected at least {min_side} {axis}, got {side}. "
                    "Resize them first."
                )
    for axis, one, other in zip(
        ("pairs", "rows", "columns"), first.shape[:3], second.shape[:3], strict=True
    ):
        if one != other:
            raise ShapeError(
                f"second frames: expected {one} {axis} like the first frames, got {other}"
            )
    if first.ndim != second.ndim:
        raise ShapeError(
            f"second frames: expected {first.ndim} axes like the first frames, got {second.ndim}"
        )


def as_luma(frames: Images) -> Images:
    """Return frames as luma, (N, H, W), with the ITU-R BT.601 weights of OpenCV."""
    if frames.ndim == 3:
        return frames
    import cv2

    luma = np.empty(frames.shape[:3], np.uint8)
    for frame, target in zip(frames, luma, strict=True):
        cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY, dst=target)
    return luma


def as_colour(frames: Images) -> Images:
    """Return frames as (N, H, W, 3); luma becomes grey."""
    return frames if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=3)
