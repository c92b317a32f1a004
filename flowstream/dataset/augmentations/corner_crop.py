"""Crops at the corners and the centre, with scale jitter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from flowstream.dataset.clip import Clip, crop, resize
from flowstream.dataset.transforms import Generator, Transform, find_corners
from flowstream.errors import ParameterError
from flowstream.types import Size


@dataclass(frozen=True)
class CornerCrop(Transform):
    """Crop a part at a corner or the centre, of random scale and aspect, and resize it to `size`.

    The largest part with the aspect ratio of `size` that fits into the frame is shrunk along rows
    and columns by two of the `scales`, whose positions in the list differ by at most `distortion`;
    then one of five places is chosen. Wang et al. 2016 (TSN, arXiv:1608.00859), section 3.2, with
    the scales and the distortion of their code. In contrast to that code, flow vectors are scaled
    when the part is resized, so that they are displacements of the pixels that the model sees.
    """

    size: Size
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    distortion: int = 1

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ParameterError(f"scales: got {self.scales}, expected numbers above 0, up to 1")
        if self.distortion < 0:
            raise ParameterError(f"distortion: got {self.distortion}, expected 0 or more")

    def sizes(self, size: Size) -> list[Size]:
        """Return the sizes of the parts that it may take from a frame of `size`."""
        fit = min(size[0] / self.size[0], size[1] / self.size[1])
        numbered = list(enumerate(self.scales))
        return [
            (
                max(1, round(self.size[0] * fit * down)),
                max(1, round(self.size[1] * fit * across)),
            )
            for (i, down), (j, across) in product(numbered, numbered)
            if abs(i - j) <= self.distortion
        ]

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return a random part, resized."""
        sizes = self.sizes(clip.size)
        part = sizes[int(generator.integers(len(sizes)))]
        corner = find_corners(clip.size, part)[int(generator.integers(5))]
        return resize(crop(clip, corner, part), self.size)
