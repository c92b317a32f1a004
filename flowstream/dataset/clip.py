"""Clips, and the three things that can be done to their geometry: cut, mirror and resize.

Flow is not an image: mirroring negates a component and resizing scales both. These functions know
what kind a clip is of, so that a transform written with them is right for both kinds.
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

Kind = Literal["rgb", "flow"]


@dataclass(frozen=True, eq=False)
class Clip:
    """A piece of a video on its way to a model.

    Parameters
    ----------
    kind : "rgb" or "flow"
    values : (C, T, H, W), uint8 or float32
        RGB: C = 3, 0 to 255 until normalised. Flow: C = 2, dx right and dy down in pixels per frame
        step until normalised; T counts fields.
    """

    kind: Kind
    values: NDArray[Any]

    @property
    def size(self) -> Size:
        """(rows, columns)."""
        rows, columns = self.values.shape[2:]
        return rows, columns


def crop(clip: Clip, corner: tuple[int, int], size: Size) -> Clip:
    """The part of `size` whose first row and column are `corner`; a view of the clip's values.

    Raises
    ------
    ShapeError
        If it does not lie inside.
    """
    for axis, start, length, whole in zip(
        ("rows", "columns"), corner, size, clip.size, strict=True
    ):
        if length < 1 or start < 0 or start + length > whole:
            raise ShapeError(
                f"crop: got {axis} {start} to {start + length} of a clip with {whole} {axis}; "
                "expected a part of it: make the crop smaller or resize the clip first"
            )
    (top, left), (rows, columns) = corner, size
    return replace(clip, values=clip.values[..., top : top + rows, left : left + columns])


def mirror(clip: Clip, axis: Literal["x", "y"]) -> Clip:
    """The clip seen in a mirror: "x" swaps left and right, "y" top and bottom."""
    if clip.kind == "flow":
        fields = motion.flip(clip.values.swapaxes(0, 1), axis=axis)
        return replace(clip, values=fields.swapaxes(0, 1))
    flipped = clip.values[..., ::-1] if axis == "x" else clip.values[..., ::-1, :]
    return replace(clip, values=flipped)


def resize(clip: Clip, size: Size) -> Clip:
    """The clip at another size, flow vectors scaled with it.

    Both kinds are resampled alike, as `flow.motion.resize_field` says: averaged over areas along an
    axis that shrinks, interpolated linearly along one that grows.
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
