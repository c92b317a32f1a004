"""Random mirroring."""

from __future__ import annotations

from dataclasses import dataclass

from flowstream.dataset.clip import Clip, mirror
from flowstream.dataset.transforms import Generator, Transform
from flowstream.errors import ParameterError


@dataclass(frozen=True)
class Flip(Transform):
    """Mirroring with probability `p`.

    Use 0 if mirrored actions have different labels.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ParameterError(f"p: got {self.p}, expected a probability, from 0 to 1")


@dataclass(frozen=True)
class HorizontalFlip(Flip):
    """Swap left and right with probability `p`, and negate dx of flow."""

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip or its mirror image."""
        return mirror(clip, "x") if generator.random() < self.p else clip


@dataclass(frozen=True)
class VerticalFlip(Flip):
    """Swap top and bottom with probability `p`, and negate dy of flow."""

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip or its mirror image."""
        return mirror(clip, "y") if generator.random() < self.p else clip
