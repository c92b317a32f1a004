"""Clips of noise, and steps that change where pixels are."""

from __future__ import annotations

import numpy as np

from flowstream.dataset.augmentations.corner_crop import CornerCrop
from flowstream.dataset.augmentations.flips import HorizontalFlip, VerticalFlip
from flowstream.dataset.augmentations.random_crop import RandomCrop
from flowstream.dataset.augmentations.resized_crop import ResizedCrop
from flowstream.dataset.clip import Clip, Kind
from flowstream.dataset.transforms import CentreCrop, Cover, Resize, Transform

ROWS, COLUMNS = 60, 80

GEOMETRIC: tuple[Transform, ...] = (
    Resize((31, 97)),
    Cover((24, 24)),
    CentreCrop((40, 50)),
    RandomCrop((40, 50)),
    CornerCrop((48, 48)),
    ResizedCrop((80, 100)),
    HorizontalFlip(1.0),
    VerticalFlip(1.0),
)


def rng(seed: int = 0) -> np.random.Generator:
    """Return a generator of random numbers."""
    return np.random.default_rng(seed)


def noise(kind: Kind, *, frames: int = 3, seed: int = 0) -> Clip:
    """Return a clip of random values."""
    shape = (3 if kind == "rgb" else 2, frames, ROWS, COLUMNS)
    if kind == "rgb":
        return Clip(kind, rng(seed).integers(0, 256, shape, np.uint8))
    return Clip(kind, rng(seed).normal(0, 4, shape).astype(np.float32))
