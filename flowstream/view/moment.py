"""Input of a style: one flow field, its frames, and the scale of the colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flowstream.flow import motion
from flowstream.flow.measure import known
from flowstream.flow.method import as_luma
from flowstream.types import Images, Size, Vectors
from flowstream.view.resizing import resize_picture


@dataclass(frozen=True, eq=False)
class Moment:
    """One flow field with its frames and scale.

    Parameters
    ----------
    vectors : (2, H, W), float32
        Pixels per frame step; NaN where unknown.
    scale : float
        Value of full colour, in the unit of the style.
    first, second : (H, W, 3), uint8, or None
        The frames that the field leads from and to.
    following : tuple of (2, H, W), float32
        This field and those after it, for styles that follow points.
    camera : (3, 3), optional
        Homography of the camera, if its motion was removed from `vectors`.
    factor : int
        Side of the square of canvas pixels that shows one pixel.
    """

    vectors: Vectors
    scale: float
    first: Images | None = None
    second: Images | None = None
    following: tuple[Vectors, ...] = ()
    camera: NDArray[np.float64] | None = None
    factor: int = 1

    @property
    def size(self) -> Size:
        """(rows, columns) of the field."""
        rows, columns = self.vectors.shape[1:]
        return rows, columns

    @property
    def canvas_size(self) -> Size:
        """(rows, columns) of the drawing."""
        rows, columns = self.size
        return rows * self.factor, columns * self.factor

    @cached_property
    def speed(self) -> NDArray[np.float32]:
        """Length of each vector, `(H, W)`; 0 where it is unknown."""
        speed: NDArray[np.float32] = np.hypot(*self.known_vectors)
        return speed

    @cached_property
    def known_vectors(self) -> Vectors:
        """The vectors, with 0 where they are unknown."""
        return np.where(known(self.vectors), self.vectors, 0).astype(np.float32)

    @cached_property
    def whole_vectors(self) -> Vectors:
        """The vectors with the camera's motion, where it was removed."""
        if self.camera is None:
            return self.known_vectors
        return motion.with_camera(self.known_vectors, self.camera)

    def enlarge(self, image: NDArray[np.uint8]) -> Images:
        """Show each pixel of a drawing as a square of `factor` canvas pixels."""
        return image.repeat(self.factor, axis=0).repeat(self.factor, axis=1)

    def smooth(self, image: NDArray[np.uint8]) -> Images:
        """Enlarge a photograph to the canvas by cubic interpolation."""
        rows, columns = self.canvas_size
        if image.shape[:2] == (rows, columns):
            return image
        return resize_picture(image, (rows, columns), enlarge="cubic")

    def background(self, *, contrast: float = 0.45) -> Images:
        """Return the first frame in pale grey at canvas size; plain off-white without frames."""
        rows, columns = self.canvas_size
        if self.first is None:
            return np.full((rows, columns, 3), 250, np.uint8)
        luma = as_luma(self.first[None])[0].astype(np.float32)
        pale = (255 * (1 - contrast) + contrast * luma).astype(np.uint8)
        return self.smooth(pale)[..., None].repeat(3, axis=2)


@dataclass(frozen=True)
class Style:
    """A way to draw a flow field.

    Parameters
    ----------
    draw : Moment -> (rows, columns, 3), uint8
        The picture on the moment's canvas.
    measure : Moment -> (H, W), float
        The values that the scale is chosen for.
    legend : (scale, height) -> (height, columns, 3), uint8
        The key of the colours.
    unit : str
        Unit of the measure.
    beyond : str
        Appearance of values above the scale.
    colours : str
        Meaning of the colours, for pictures that have no legend.
    needs_frames : bool
        The style needs the frames of the video.
    fields : int
        Number of fields that one picture uses: the field itself and those after it.
    floor : float
        Smallest scale that is chosen automatically.
    """

    draw: Callable[[Moment], Images]
    measure: Callable[[Moment], NDArray[np.float32]]
    legend: Callable[[float, int], Images]
    unit: str = "px/frame"
    beyond: str = "darker"
    colours: str = "red right, yellow down, cyan left, violet up"
    needs_frames: bool = False
    fields: int = 1
    floor: float = 0.02


def measure_speed(moment: Moment) -> NDArray[np.float32]:
    """Return the speed of each pixel, the measure of most styles."""
    return moment.speed
