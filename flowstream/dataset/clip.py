"""Clips, and the three geometric operations on them: crop, mirror and resize.

Flow is not an image: mirroring negates a component and resizing scales both. These functions
depend on the kind of a clip, so a transform that uses them is correct for every kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ShapeError
from flowstream.flow import motion
from flowstream.types import Size

Kind = Literal["rgb", "flow", "difference"]
"""Kind of a clip, which determines how its values change when it is resized or mirrored."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Part of a video as input of a model.

    Parameters
    ----------
    kind : "rgb", "flow" or "difference"
    values : (C, T, H, W), uint8 or float32
        RGB: C = 3, values from 0 to 255 until they are normalised; differences of frames from
        -255 to 255. Flow: dx right and dy down in pixels per frame step until they are normalised,
        then any derived channels; T counts fields.
    """

    kind: Kind
    values: NDArray[Any]

    @property
    def size(self) -> Size:
        """(rows, columns) of the clip."""
        rows, columns = self.values.shape[2:]
        return rows, columns


def crop(clip: Clip, corner: tuple[int, int], size: Size) -> Clip:
    """Return the part of `size` whose first row and column are `corner`, without copying.

    Raises
    ------
    ShapeError
        If the part is not inside the clip.
    """
    for axis, start, length, whole in zip(
        ("rows", "columns"), corner, size, clip.size, strict=True
    ):
        if length < 1 or start < 0 or start + length > whole:
            raise ShapeError(
                f"crop: got {axis} {start} to {start + length}, expected a part of the clip's "
                f"{whole} {axis}. Make the crop smaller or resize the clip first"
            )
    (top, left), (rows, columns) = corner, size
    return replace(clip, values=clip.values[..., top : top + rows, left : left + columns])


def mirror(clip: Clip, axis: Literal["x", "y"]) -> Clip:
    """Mirror a clip: "x" swaps left and right, "y" top and bottom.

    Raises
    ------
    ShapeError
        If a flow clip already has derived channels, which must be computed after mirroring.
    """
    if clip.kind == "flow":
        fields = motion.flip(clip.values.swapaxes(0, 1), axis=axis)
        return replace(clip, values=fields.swapaxes(0, 1))
    flipped = clip.values[..., ::-1] if axis == "x" else clip.values[..., ::-1, :]
    return replace(clip, values=flipped)


def resize(clip: Clip, size: Size) -> Clip:
    """Resample a clip to another size, and scale flow vectors accordingly.

    All kinds are resampled in the same way, as in `flow.motion.resize_field`: by area averages
    along an axis that shrinks, and by linear interpolation along an axis that grows.
    """
    if clip.size == tuple(size):
        return clip
    if clip.kind == "flow":
        fields = motion.resize_field(clip.values.swapaxes(0, 1), size)
        return replace(clip, values=fields.swapaxes(0, 1))
    planes = clip.values.reshape(-1, *clip.size)
    resized = np.empty((*clip.values.shape[:2], *size), clip.values.dtype)
    between = (min(clip.size[0], size[0]), min(clip.size[1], size[1]))
    for plane, target in zip(planes, resized.reshape(-1, *size), strict=True):
        shrunk = cv2.resize(plane, between[::-1], interpolation=cv2.INTER_AREA)
        target[:] = cv2.resize(shrunk, size[::-1], interpolation=cv2.INTER_LINEAR)
    return replace(clip, values=resized)
