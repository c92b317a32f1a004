"""Transforms of clips that treat flow as motion.

A transform is a frozen dataclass that is called with `(clip, generator)` and returns a clip;
`apply` runs a tuple of them. The random numbers that a transform draws depend only on the size of
the clip, not on its kind: an RGB clip and a flow clip of one size, transformed with equal
generators, get the same crop and flip. All frames of a clip are transformed alike, and the values
of the given clip are never changed. The random ones are in `flowstream.dataset.augmentations`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from flowstream.dataset.channels import CHANNELS
from flowstream.dataset.clip import Clip, crop, mirror, resize
from flowstream.errors import ParameterError
from flowstream.types import Size

Generator: TypeAlias = np.random.Generator

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Transform(ABC):
    """Function from one clip to one clip."""

    @abstractmethod
    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the transformed clip; only random transforms draw from `generator`."""


class Views(ABC):
    """Function from one clip to several, whose scores are averaged."""

    @abstractmethod
    def views(self, clip: Clip) -> list[Clip]:
        """Return the views: always the same number, in the same order."""


Step: TypeAlias = Transform | Views


def apply(steps: Iterable[Step], clip: Clip, generator: Generator) -> list[Clip]:
    """Run steps one after the other, and return one clip for each view."""
    clips = [clip]
    for step in steps:
        if isinstance(step, Views):
            clips = [view for one in clips for view in step.views(one)]
        else:
            clips = [step(one, generator) for one in clips]
    return clips


@dataclass(frozen=True)
class Resize(Transform):
    """Resize to an exact size (rows, columns), and scale flow vectors along each axis."""

    size: Size

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip at that size."""
        return resize(clip, self.size)


@dataclass(frozen=True)
class Cover(Transform):
    """Resize to the size at which the frame just covers `margin` times `size`.

    The aspect ratio is kept. With the default margin, a centre crop of `size` then shows 7/8 of the
    shorter side, as do the test crops of ImageNet and TSN (224 of 256).
    """

    size: Size
    margin: float = 256 / 224

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip at that size."""
        rows, columns = clip.size
        factor = self.margin * max(self.size[0] / rows, self.size[1] / columns)
        return resize(clip, (round(rows * factor), round(columns * factor)))


@dataclass(frozen=True)
class CentreCrop(Transform):
    """Crop to the middle part of `size` (rows, columns)."""

    size: Size

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the middle part."""
        return crop(clip, find_corners(clip.size, self.size)[4], self.size)


@dataclass(frozen=True)
class ThreeCrop(Views):
    """Three crops of `size` (rows, columns) along the longer side: start, centre, end.

    With 10 clips of a video these are the 30 views of Feichtenhofer et al. 2019 (SlowFast,
    arXiv:1812.03982, section 4).
    """

    size: Size

    def views(self, clip: Clip) -> list[Clip]:
        """Return the left, centre and right part of a wide clip, or top, centre and bottom."""
        bottom, right = clip.size[0] - self.size[0], clip.size[1] - self.size[1]
        wide = right >= bottom
        corners = [
            (bottom // 2, right * third // 2) if wide else (bottom * third // 2, right // 2)
            for third in range(3)
        ]
        return [crop(clip, corner, self.size) for corner in corners]


@dataclass(frozen=True)
class FiveCrop(Views):
    """The four corners and the centre, of `size` (rows, columns)."""

    size: Size

    def views(self, clip: Clip) -> list[Clip]:
        """Return the parts at top left, top right, bottom left, bottom right and centre."""
        return [crop(clip, corner, self.size) for corner in find_corners(clip.size, self.size)]


@dataclass(frozen=True)
class TenCrop(Views):
    """The five crops and their mirror images (Simonyan & Zisserman 2014, section 4)."""

    size: Size

    def views(self, clip: Clip) -> list[Clip]:
        """Return the five crops of the clip, then those of its mirror image, with dx negated."""
        five = FiveCrop(self.size)
        return five.views(clip) + five.views(mirror(clip, "x"))


@dataclass(frozen=True)
class SubtractMeanFlow(Transform):
    """Subtract the mean vector of each field from flow; leave other kinds as they are.

    This roughly removes the camera's motion: Simonyan & Zisserman 2014 (arXiv:1406.2199), section
    3.1, where it gained 1.1 % on UCF101. Apply it before any crop, because a crop has another mean.
    """

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip without its mean vectors."""
        if clip.kind != "flow":
            return clip
        values = clip.values.astype(np.float32, copy=False)
        return replace(clip, values=values - values.mean(axis=(2, 3), keepdims=True))


@dataclass(frozen=True)
class AddChannels(Transform):
    """Append derived channels to flow; leave other kinds as they are.

    Apply it after all geometric transforms and before `Normalise`, which also divides the derived
    channels by the bound.

    Parameters
    ----------
    channels : tuple of str
        Keys of `flowstream.dataset.channels.CHANNELS`.
    """

    channels: tuple[str, ...]

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip with C = 2 + the number of channels."""
        if clip.kind != "flow" or not self.channels:
            return clip
        fields = clip.values.astype(np.float32, copy=False).swapaxes(0, 1)
        derived = [CHANNELS[name](fields) for name in self.channels]
        return replace(clip, values=np.concatenate([clip.values, np.stack(derived)]))


@dataclass(frozen=True)
class Normalise(Transform):
    """Scale values to float32 of about unit size.

    RGB becomes `(values / 255 - mean) / std` with ImageNet's statistics, which every pretrained
    backbone expects; differences of frames become `values / 255 / std`. Flow becomes
    `values / bound`: zero motion remains exactly zero, left and right remain opposite, and the
    codec's range becomes -1 to 1 (larger values are possible only after a resize).
    """

    bound: float = 20.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise ParameterError(f"bound: got {self.bound}, expected a number of pixels above 0")

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """Return the clip as float32."""
        if clip.kind == "flow":
            values = clip.values.astype(np.float32, copy=False) * np.float32(1 / self.bound)
            return replace(clip, values=values)
        std = 255 * np.array(self.std, np.float32)[:, None, None, None]
        if clip.kind == "difference":
            return replace(clip, values=clip.values / std)
        mean = 255 * np.array(self.mean, np.float32)[:, None, None, None]
        return replace(clip, values=(clip.values - mean) / std)


def find_corners(whole: Size, part: Size) -> list[tuple[int, int]]:
    """Return the first row and column of a part in each corner, and last in the centre."""
    bottom, right = whole[0] - part[0], whole[1] - part[1]
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
