"""Random brightness, contrast and saturation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flowstream.dataset.clip import Clip
from flowstream.dataset.transforms import Generator, Transform
from flowstream.errors import ParameterError


@dataclass(frozen=True)
class ColourJitter(Transform):
    """Change brightness, contrast and saturation of RGB randomly; do not change other kinds.

    For each of the three, a factor is drawn from 1 - x to 1 + x. Brightness multiplies all values,
    contrast their distance from the clip's mean grey, and saturation their distance from each
    pixel's grey (ITU-R BT.601). The clip is uint8 or float32 from 0 to 255, before normalisation;
    the result is float32, clipped to that range.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name}: got {getattr(self, name)}, expected 0 to 1")

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip with other colours."""
        spread = np.array([self.brightness, self.contrast, self.saturation])
        factors = generator.uniform(1 - spread, 1 + spread).astype(np.float32)
        if clip.kind != "rgb":
            return clip
        brightness, contrast, saturation = factors
        values = clip.values.astype(np.float32) * brightness
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        mean = np.tensordot(weights, values, axes=1).mean()
        values = mean + contrast * (values - mean)
        grey = np.tensordot(weights, values, axes=1)
        values = grey + saturation * (values - grey)
        return replace(clip, values=values.clip(0, 255))
