"""Crops of random area and aspect, resized."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flowstream.dataset.clip import Clip, crop, resize
from flowstream.dataset.transforms import Generator, Transform
from flowstream.errors import ParameterError
from flowstream.types import Size


@dataclass(frozen=True)
class ResizedCrop(Transform):
    """Crop a part of random area and aspect from anywhere, and resize it to `size`.

    The part has a fraction of the frame's area drawn from `area`, and an aspect drawn from
    `aspect` on a logarithmic scale (Szegedy et al. 2015, arXiv:1409.4842, section 6). A part that
    does not fit is shrunk until it does. Flow vectors are scaled as the part is resized.

    Parameters
    ----------
    size : (rows, columns)
    area : (float, float)
        Smallest and largest fraction of the area.
    aspect : (float, float)
        Smallest and largest ratio of columns to rows, relative to that of `size`.
    """

    size: Size
    area: tuple[float, float] = (0.25, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ParameterError(f"area: got {self.area}, expected two fractions, rising, up to 1")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise ParameterError(f"aspect: got {self.aspect}, expected two ratios above 0, rising")

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return a random part, resized."""
        rows, columns = clip.size
        area = rows * columns * generator.uniform(*self.area)
        low, high = (math.log(ratio) for ratio in self.aspect)
        ratio = self.size[1] / self.size[0] * math.exp(generator.uniform(low, high))
        wanted = math.sqrt(area / ratio), math.sqrt(area * ratio)
        shrink = min(1.0, rows / wanted[0], columns / wanted[1])
        part = max(1, round(wanted[0] * shrink)), max(1, round(wanted[1] * shrink))
        top = int(generator.integers(rows - part[0] + 1))
        left = int(generator.integers(columns - part[1] + 1))
        return resize(crop(clip, (top, left), part), self.size)
