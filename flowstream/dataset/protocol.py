"""The transforms of training and of testing, made from the numbers of a recipe."""

# ruff: noqa: PT028  (test_transform is no test)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flowstream.dataset.augmentations import DEFAULT, build_augmentations
from flowstream.dataset.transforms import (
    AddChannels,
    CentreCrop,
    Cover,
    FiveCrop,
    Normalise,
    Step,
    SubtractMeanFlow,
    TenCrop,
    ThreeCrop,
)
from flowstream.errors import ParameterError
from flowstream.types import Size

CROPS: dict[int, Callable[[Size], Step]] = {
    1: CentreCrop,
    3: ThreeCrop,
    5: FiveCrop,
    10: TenCrop,
}
"""Crops of testing by their number; 0 is the whole frame, without a crop."""


def train_transform(
    size: Size | int,
    *,
    augment: Iterable[Mapping[str, Any]] = DEFAULT,
    mean_flow: bool = False,
    channels: tuple[str, ...] = (),
    normalise: Normalise | None = None,
) -> tuple[Step, ...]:
    """Return the transform of training: mean flow, augmentations, channels, normalisation.

    It is the same for every kind of clip, because each step handles all kinds.

    Parameters
    ----------
    size : int or (rows, columns)
        Size of the model's input.
    augment : tables
        Augmentations in their order; see `build_augmentations`.
    mean_flow : bool
        Subtract each field's mean vector.
    channels : tuple of str
        Derived channels of flow; see `AddChannels`.
    normalise : Normalise
        The default divides flow by 20 pixels, the default codec's bound.
    """
    size = (size, size) if isinstance(size, int) else size
    mean: tuple[Step, ...] = (SubtractMeanFlow(),) if mean_flow else ()
    derived: tuple[Step, ...] = (AddChannels(channels),) if channels else ()
    return (*mean, *build_augmentations(augment, size), *derived, normalise or Normalise())


def test_transform(
    size: Size | int,
    *,
    crops: int = 1,
    mean_flow: bool = False,
    channels: tuple[str, ...] = (),
    normalise: Normalise | None = None,
) -> tuple[Step, ...]:
    """Return the transform of testing: the frame at 8/7 of the model's input, and crops of it.

    Parameters
    ----------
    size, mean_flow, channels, normalise
        As in training.
    crops : 0, 1, 3, 5 or 10
        1 is the centre; 3 are spread along the longer side; 5 are the centre and the corners; 10
        are these five and their mirror images; 0 is the whole frame, for a network that is run
        fully convolutionally.
    """
    size = (size, size) if isinstance(size, int) else size
    if crops and crops not in CROPS:
        raise ParameterError(f"crops: got {crops}, expected 0, {', '.join(map(str, CROPS))}")
    mean: tuple[Step, ...] = (SubtractMeanFlow(),) if mean_flow else ()
    scale, views = normalise or Normalise(), (CROPS[crops](size),) if crops else ()
    if channels:  # derived from each view, because a mirrored strain is no mirrored component
        return (*mean, Cover(size), *views, AddChannels(channels), scale)
    return (*mean, Cover(size), scale, *views)


# pytest collects functions named test_* wherever they are imported.
test_transform.__test__ = False  # type: ignore[attr-defined]
