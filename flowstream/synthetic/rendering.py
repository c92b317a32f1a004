"""Rendering of textured layers that move, with their exact flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.types import Images, Size, Vectors

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]

FINER = 2  # pixels of a layer's own grid per pixel of the frame


@dataclass(frozen=True, eq=False)
class Scene:
    """Two frames and the true flow between them."""

    first: Images
    """(H, W), uint8."""
    second: Images
    """(H, W), uint8."""
    vectors: Vectors
    """(2, H, W), float32, pixels from `first` to `second`."""
    covered: NDArray[np.bool_]
    """(H, W), True where a point of `first` is hidden or outside the frame in `second`."""


@dataclass(frozen=True)
class Camera:
    """Recording conditions of a scene."""

    shutter: float = 0.3
    """Fraction of the time between two frames during which the shutter is open."""
    noise: float = 2.0
    """Standard deviation of the noise, grey levels."""
    gain: float = 1.0
    """Brightness of the second frame relative to the first."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Textured shape on its own grid, and its motion as a function of time."""

    texture: Floats
    alpha: Floats
    centre: Matrix
    """Position (x, y) in the frame at time 0."""
    velocity: Matrix
    turn: float
    """Rotation per frame step, radians."""
    growth: float
    """Scale factor per frame step."""
    angle: float = 0.0
    """Rotation at time 0, radians."""
    pivot: Matrix | None = None
    """Point (x, y) of the frame, at time 0, about which the layer turns; None: its centre."""

    def matrix(self, time: float) -> Matrix:
        """Return the (3, 3) affine map from the layer's grid to pixels of the frame."""
        rows, columns = self.alpha.shape
        to_centre = _translation(-(columns - 1) / 2, -(rows - 1) / 2)
        start = _translation(*self.centre) @ _rotation(self.angle, 1 / FINER) @ to_centre
        pivot = self.centre if self.pivot is None else self.pivot
        change = _rotation(self.turn * time, self.growth**time)
        moved = pivot + time * self.velocity
        return _translation(*moved) @ change @ _translation(*-pivot) @ start


def render(
    layers: Sequence[Layer], size: Size, *, camera: Camera, random: np.random.Generator
) -> Scene:
    """Render two frames of the layers, the last one in front, and the flow between them."""
    # against aliasing, because a layer has more pixels than the frame shows
    layers = [
        replace(layer, texture=_blur(layer.texture), alpha=_blur(layer.alpha)) for layer in layers
    ]
    instants = np.linspace(-0.5, 0.5, 5) * camera.shutter if camera.shutter else np.zeros(1)
    frames = []
    for time, gain in ((0.0, 1.0), (1.0, camera.gain)):
        images = [_composite(layers, size, time + instant) for instant in instants]
        frame = gain * np.mean(images, axis=0) + random.normal(0, camera.noise, size)
        frames.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
    now, then = _topmost(layers, size, 0.0), _topmost(layers, size, 1.0)
    vectors = np.zeros((2, *size), np.float32)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    for index, layer in enumerate(layers):
        motion = layer.matrix(1.0) @ np.linalg.inv(layer.matrix(0.0))
        mask = now == index
        for k, place in enumerate((x, y)):
            moved = motion[k, 0] * x + motion[k, 1] * y + motion[k, 2]
            vectors[k][mask] = (moved - place)[mask]
    to_x, to_y = (np.rint(x + vectors[0]).astype(int), np.rint(y + vectors[1]).astype(int))
    inside = (to_x >= 0) & (to_y >= 0) & (to_x < size[1]) & (to_y < size[0])
    met = then[to_y.clip(0, size[0] - 1), to_x.clip(0, size[1] - 1)]
    return Scene(frames[0], frames[1], vectors, ~inside | (met != now))


def _blur(image: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 * FINER), np.float32)


def _composite(layers: Sequence[Layer], size: Size, time: float) -> Floats:
    image = np.zeros(size, np.float32)
    for index, layer in enumerate(layers):
        texture, alpha = _place(layer, size, time, border=index == 0)
        image += alpha * (texture - image)
    return image


def _topmost(layers: Sequence[Layer], size: Size, time: float) -> NDArray[np.int64]:
    """Return the index of the layer that each pixel shows."""
    top = np.zeros(size, np.int64)
    for index, layer in enumerate(layers[1:], start=1):
        _, alpha = _place(layer, size, time)
        top[alpha > 0.5] = index
    return top


def _place(layer: Layer, size: Size, time: float, *, border: bool = False) -> tuple[Floats, Floats]:
    """Return the texture and the mask of a layer on the grid of the frame."""
    matrix = layer.matrix(time)[:2]
    shape = size[::-1]
    texture = cv2.warpAffine(
        layer.texture,
        matrix,
        shape,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    alpha = cv2.warpAffine(layer.alpha, matrix, shape, flags=cv2.INTER_LINEAR)
    alpha = np.ones(size, np.float32) if border else alpha
    return np.asarray(texture, np.float32), np.asarray(alpha, np.float32)


def _translation(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _rotation(angle: float, scale: float) -> Matrix:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float64)
