"""Transforms of clips that know what motion is.

A transform is a frozen dataclass, called `(clip, generator) -> clip`; several are a tuple, `apply`
runs it. What a transform draws from the generator depends on the clip's size alone, never on its
kind: an RGB and a flow clip of one size, transformed with equal generators, get the same crop and
flip. All frames of a clip are transformed alike, and a clip's own values are never written to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np

from flowstream.dataset.clip import Clip, crop, mirror, resize
from flowstream.errors import ParameterError
from flowstream.types import Size

Generator: TypeAlias = np.random.Generator

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Transform(ABC):
    """One clip to one clip."""

    def __call__(self, clip: Clip, generator: Generator) -> Clip:
        """The transformed clip; `generator` is drawn from by random transforms only."""
        return self._change(clip, generator)

    @abstractmethod
    def _change(self, clip: Clip, generator: Generator) -> Clip:
        """What a call returns."""


class Views(ABC):
    """One clip to several, whose scores are averaged."""

    @abstractmethod
    def views(self, clip: Clip) -> list[Clip]:
        """The views, always as many and in the same order."""


Step: TypeAlias = Transform | Views


def apply(steps: Iterable[Step], clip: Clip, generator: Generator) -> list[Clip]:
    """Run steps one after the other; one clip comes out for each view."""
    clips = [clip]
    for step in steps:
        if isinstance(step, Views):
            clips = [view for one in clips for view in step.views(one)]
        else:
            clips = [step(one, generator) for one in clips]
    return clips


@dataclass(frozen=True)
class Resize(Transform):
    """To an exact size (rows, columns); flow vectors are scaled by the change along their axis."""

    size: Size

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        return resize(clip, self.size)


@dataclass(frozen=True)
class Cover(Transform):
    """To the size, aspect kept, at which the frame just covers `margin` times `size`.

    With the default margin a centre crop of `size` then shows 7/8 of the shorter side: the 224 of
    256 of ImageNet's and TSN's test crops.
    """

    size: Size
    margin: float = 256 / 224

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        rows, columns = clip.size
        factor = self.margin * max(self.size[0] / rows, self.size[1] / columns)
        return resize(clip, (round(rows * factor), round(columns * factor)))


@dataclass(frozen=True)
class CentreCrop(Transform):
    """The middle part of `size` (rows, columns)."""

    size: Size

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        return crop(clip, _places(clip.size, self.size)[4], self.size)


@dataclass(frozen=True)
class RandomCrop(Transform):
    """A part of `size` (rows, columns) from anywhere, all places equally likely."""

    size: Size

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        room = [max(whole - part, 0) for whole, part in zip(clip.size, self.size, strict=True)]
        top, left = (int(generator.integers(space + 1)) for space in room)
        return crop(clip, (top, left), self.size)


@dataclass(frozen=True)
class MultiScaleCornerCrop(Transform):
    """A part from a corner or the centre, of a random scale and aspect, resized to `size`.

    The largest part of the aspect of `size` that fits the frame is shrunk along rows and columns by
    two of the `scales` that are at most `distortion` apart in their list; then one of five places
    is chosen. Wang et al. 2016 (TSN, arXiv:1608.00859), section 3.2, with the scales and the
    distortion of their code. Unlike there, flow vectors are scaled as the part is resized, so
    that they stay displacements of the pixels that the model sees.
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
        """The sizes of the parts that it may take from a frame of `size`, equally likely."""
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

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        sizes = self.sizes(clip.size)
        part = sizes[int(generator.integers(len(sizes)))]
        corner = _places(clip.size, part)[int(generator.integers(5))]
        return resize(crop(clip, corner, part), self.size)


@dataclass(frozen=True)
class HorizontalFlip(Transform):
    """Left and right swapped with probability `p`; flow's dx is negated with it."""

    p: float = 0.5

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        return mirror(clip, "x") if generator.random() < self.p else clip


@dataclass(frozen=True)
class VerticalFlip(Transform):
    """Top and bottom swapped with probability `p`; flow's dy is negated with it."""

    p: float = 0.5

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        return mirror(clip, "y") if generator.random() < self.p else clip


@dataclass(frozen=True)
class FiveCrop(Views):
    """The four corners and the centre, of `size` (rows, columns)."""

    size: Size

    def views(self, clip: Clip) -> list[Clip]:
        """Top left, top right, bottom left, bottom right, centre."""
        return [crop(clip, corner, self.size) for corner in _places(clip.size, self.size)]


@dataclass(frozen=True)
class TenCrop(Views):
    """The five crops and their mirror images (Simonyan & Zisserman 2014, section 4)."""

    size: Size

    def views(self, clip: Clip) -> list[Clip]:
        """`FiveCrop`'s views of the clip, then those of its mirror image, flow's dx negated."""
        five = FiveCrop(self.size)
        return five.views(clip) + five.views(mirror(clip, "x"))


@dataclass(frozen=True)
class SubtractMeanFlow(Transform):
    """Flow less the mean vector of each field; RGB as it is.

    A rough removal of the camera's motion: Simonyan & Zisserman 2014 (arXiv:1406.2199), section
    3.1, where it brought 1.1 % on UCF101. It belongs before any crop, which has another mean.
    """

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        if clip.kind == "rgb":
            return clip
        values = clip.values.astype(np.float32, copy=False)
        return replace(clip, values=values - values.mean(axis=(2, 3), keepdims=True))


@dataclass(frozen=True)
class ColourJitter(Transform):
    """RGB with its brightness, contrast and saturation changed at random; flow as it is.

    Each is multiplied by a number drawn from 1 - x to 1 + x: all values; their distance from the
    clip's mean grey; their distance from each pixel's grey (ITU-R BT.601). uint8 or float32 of 0 to
    255, before normalising; the result is float32, clipped to that range.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        spread = np.array([self.brightness, self.contrast, self.saturation])
        factors = generator.uniform(1 - spread, 1 + spread).astype(np.float32)
        if clip.kind == "flow":
            return clip
        brightness, contrast, saturation = factors
        values = clip.values.astype(np.float32) * brightness
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        mean = np.tensordot(weights, values, axes=1).mean()
        values = mean + contrast * (values - mean)
        grey = np.tensordot(weights, values, axes=1)
        values = grey + saturation * (values - grey)
        return replace(clip, values=values.clip(0, 255))


@dataclass(frozen=True)
class Normalise(Transform):
    """Float32 of about unit size.

    RGB becomes `(values / 255 - mean) / std` with ImageNet's statistics, which every pretrained
    backbone expects. Flow becomes `values / bound`: zero motion stays exactly zero, left and right
    stay opposite, and the codec's range becomes -1 to 1 (beyond it only what a resize has scaled).
    """

    bound: float = 20.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise ParameterError(f"bound: got {self.bound}, expected pixels, above 0")

    def _change(self, clip: Clip, generator: Generator) -> Clip:
        if clip.kind == "flow":
            values = clip.values.astype(np.float32, copy=False) * np.float32(1 / self.bound)
            return replace(clip, values=values)
        std = 255 * np.array(self.std, np.float32)[:, None, None, None]
        mean = 255 * np.array(self.mean, np.float32)[:, None, None, None]
        return replace(clip, values=(clip.values - mean) / std)


def _places(whole: Size, part: Size) -> list[tuple[int, int]]:
    """First row and column of a part in each corner and in the centre."""
    bottom, right = whole[0] - part[0], whole[1] - part[1]
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
