"""Textures of rendered scenes: crops of pictures, or random polygons."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.types import Images, Size

Floats = NDArray[np.float32]


class Painter:
    """Source of textures: crops of pictures, or random polygons in front of each other."""

    def __init__(self, random: np.random.Generator, pictures: Sequence[Images]) -> None:
        self.random, self.pictures = random, pictures

    def texture(self, size: Size) -> Floats:
        """Return an image of this size with random contrast and brightness."""
        picture = self._crop(size) if self.pictures else self._polygons(size)
        gain, level = self.random.uniform(0.5, 1.0), self.random.uniform(60, 190)
        if self.pictures:
            gain, level = self.random.uniform(0.8, 1.4), float(picture.mean())
            level += self.random.uniform(-40, 40)
        painted: Floats = np.clip((picture - picture.mean()) * gain + level, 0, 255)
        return painted.astype(np.float32)

    def _crop(self, size: Size) -> Floats:
        picture = self.pictures[int(self.random.integers(len(self.pictures)))]
        enlarge = max(size[0] / picture.shape[0], size[1] / picture.shape[1], 1.0)
        enlarge *= self.random.uniform(1.0, 1.2)
        rows, columns = (int(np.ceil(side * enlarge)) for side in picture.shape)
        large = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_CUBIC)
        top = int(self.random.integers(rows - size[0] + 1))
        left = int(self.random.integers(columns - size[1] + 1))
        crop = large[top : top + size[0], left : left + size[1]]
        return (crop[:, ::-1] if self.random.random() < 0.5 else crop).astype(np.float32)

    def _polygons(self, size: Size) -> Floats:
        """Return polygons of all sizes, nearer ones in front, with fine shading inside."""
        rows, columns = size
        image = np.full(size, 128, np.float32)
        count = int(np.clip(rows * columns / 400, 20, 900))
        radii = np.sort(max(size) / self.random.uniform(1.5, 40, count))[::-1]
        for radius in radii:
            centre = self.random.uniform((0, 0), (columns, rows))
            angles = np.sort(self.random.uniform(0, 2 * np.pi, 6))
            corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            level = float(self.random.normal(128, 45))
            cv2.fillPoly(image, [corners.astype(np.int32)], level, cv2.LINE_AA)
        for scale, contrast in ((2, 6.0), (5, 8.0), (20, 12.0)):
            grains = self.random.normal(size=size).astype(np.float32)
            smooth = cv2.GaussianBlur(grains, (0, 0), scale)
            image += contrast * smooth / max(float(smooth.std()), 1e-6)
        return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.float32)
