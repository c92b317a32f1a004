"""The contract of a flow method: pairs of frames in, fields out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from flowstream.errors import ShapeError
from flowstream.types import Images, Vectors


class FlowMethod(ABC):
    """A way to estimate dense flow; subclasses are frozen dataclasses of its parameters.

    Equality of two methods means equal results; fields that only say how to compute (device,
    threads) are declared with `compare=False`.
    """

    name: ClassVar[str]
    """Its name in METHODS."""

    colour: ClassVar[bool] = False
    """Whether it wants RGB; otherwise it is given luma, and colour frames are converted."""

    min_side: ClassVar[int] = 16
    """Frames with a shorter side are refused."""

    @property
    def batch(self) -> int:
        """How many pairs it likes to be given at once."""
        return 1

    @property
    def device(self) -> str:
        """Where it computes, in torch's words."""
        return "cpu"

    def __call__(self, first: Images, second: Images) -> Vectors:
        """Estimate the flow from each first frame to its second.

        Parameters
        ----------
        first, second : (N, H, W) or (N, H, W, 3), uint8
            Luma or RGB, N pairs; not written to.

        Returns
        -------
        (N, 2, H, W), float32
            dx right, dy down, in pixels: what is at (x, y) in `first` is at (x+dx, y+dy) in
            `second`.

        Raises
        ------
        ShapeError
            If the frames are not two such batches of one shape, or a side is below `min_side`.
        """
        return self.estimate(*self._prepared(first, second))

    def both_directions(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """Estimate the flow from each first frame to its second, and back.

        As calling the method twice, with the frames swapped, but what the two directions share may
        be computed once. The backward field is anchored on the second frame: what is at (x, y)
        there is at (x+dx, y+dy) in the first. Parameters and errors are those of `__call__`.

        Returns
        -------
        forward, backward : (N, 2, H, W), float32
        """
        return self.estimate_both(*self._prepared(first, second))

    @abstractmethod
    def estimate(self, first: Images, second: Images) -> Vectors:
        """What `__call__` returns, for checked frames of the kind that `colour` names."""

    def estimate_both(self, first: Images, second: Images) -> tuple[Vectors, Vectors]:
        """What `both_directions` returns, for such frames; to override where work can be shared."""
        return self.estimate(first, second), self.estimate(second, first)

    def _prepared(self, first: Images, second: Images) -> tuple[Images, Images]:
        check_pairs(first, second, min_side=self.min_side)
        convert = as_colour if self.colour else as_luma
        return convert(first), convert(second)


def check_pairs(first: Images, second: Images, *, min_side: int) -> None:
    """Refuse what is not two batches of frames of one shape."""
    for name, frames in (("first", first), ("second", second)):
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            seen = getattr(frames, "dtype", type(frames).__name__)
            raise ShapeError(f"{name} frames: got {seen}, expected a uint8 array")
        if frames.ndim != 3 and not (frames.ndim == 4 and frames.shape[3] == 3):
            raise ShapeError(
                f"{name} frames: got shape {frames.shape}, expected (N, H, W) or (N, H, W, 3)"
            )
        for axis, side in (("rows", frames.shape[1]), ("columns", frames.shape[2])):
            if side < min_side:
                raise ShapeError(
                    f"{name} frames: got {side} {axis}, expected at least {min_side}; "
                    "resize them before flow"
                )
    for axis, one, other in zip(
        ("pairs", "rows", "columns"), first.shape[:3], second.shape[:3], strict=True
    ):
        if one != other:
            raise ShapeError(f"first frames have {one} {axis}, second frames {other}")
    if first.ndim != second.ndim:
        raise ShapeError(f"first frames have {first.ndim} axes, second frames {second.ndim}")


def as_luma(frames: Images) -> Images:
    """(N, H, W) from either kind; colour by ITU-R BT.601 weights, as OpenCV converts."""
    if frames.ndim == 3:
        return frames
    import cv2

    luma = np.empty(frames.shape[:3], np.uint8)
    for frame, target in zip(frames, luma, strict=True):
        cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY, dst=target)
    return luma


def as_colour(frames: Images) -> Images:
    """(N, H, W, 3) from either kind; luma becomes grey."""
    return frames if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=3)
