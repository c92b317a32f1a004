"""Crops from anywhere, without resizing."""

from __future__ import annotations

from dataclasses import dataclass

from flowstream.dataset.clip import Clip, crop
from flowstream.dataset.transforms import Generator, Transform
from flowstream.types import Size


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Crop a part of `size` (rows, columns) from anywhere, all places equally likely."""

    size: Size

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return a random part."""
        room = [max(whole - part, 0) for whole, part in zip(clip.size, self.size, strict=True)]
        top, left = (int(generator.integers(space + 1)) for space in room)
        return crop(clip, (top, left), self.size)
