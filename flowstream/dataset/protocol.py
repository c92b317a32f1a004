"""The transforms of training and of testing, from a recipe's numbers."""

# ruff: noqa: PT028  (test_transform is no test)

from __future__ import annotations

from collections.abc import Callable

from flowstream.dataset.clip import Kind
from flowstream.dataset.transforms import (
    CentreCrop,
    ColourJitter,
    Cover,
    FiveCrop,
    HorizontalFlip,
    MultiScaleCornerCrop,
    Normalise,
    Step,
    SubtractMeanFlow,
    TenCrop,
)
from flowstream.errors import ParameterError
from flowstream.types import Size

CROPS: dict[int, Callable[[Size], Step]] = {1: CentreCrop, 5: FiveCrop, 10: TenCrop}


def train_transform(
    kind: Kind,
    size: Size | int,
    *,
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66),
    flip: float = 0.5,
    jitter: float = 0.0,
    mean_flow: bool = False,
    bound: float = 20.0,
) -> tuple[Step, ...]:
    """Corner crops of several scales, flips, colour jitter for RGB; then normalised.

    Parameters
    ----------
    kind : "rgb" or "flow"
    size : int or (rows, columns)
        Of the model's input.
    scales : tuple of float
        See `MultiScaleCornerCrop`; `(1.0,)` takes the largest part only.
    flip : float
        Probability of a horizontal flip; 0 for actions that have a left and a right.
    jitter : float
        See `ColourJitter`; RGB only.
    mean_flow : bool
        Subtract each field's mean vector; flow only.
    bound : float
        What flow is divided by, in pixels; 20 is the default codec's bound.
    """
    size = (size, size) if isinstance(size, int) else size
    steps: list[Step] = [SubtractMeanFlow()] if mean_flow and kind == "flow" else []
    steps += [MultiScaleCornerCrop(size, scales), HorizontalFlip(flip)]
    if jitter and kind == "rgb":
        steps.append(ColourJitter(jitter, jitter, jitter))
    return (*steps, Normalise(bound))


def test_transform(
    kind: Kind,
    size: Size | int,
    *,
    crops: int = 1,
    mean_flow: bool = False,
    bound: float = 20.0,
) -> tuple[Step, ...]:
    """The frame at 8/7 of the model's input, normalised, and 1, 5 or 10 crops of it.

    Parameters
    ----------
    kind, size, mean_flow, bound
        As in training.
    crops : 1, 5 or 10
        The centre; with the corners; with the mirror images of all five.
    """
    size = (size, size) if isinstance(size, int) else size
    if crops not in CROPS:
        raise ParameterError(f"crops: got {crops}, expected one of: 1, 5, 10")
    steps: list[Step] = [SubtractMeanFlow()] if mean_flow and kind == "flow" else []
    return (*steps, Cover(size), Normalise(bound), CROPS[crops](size))


# pytest takes functions named test_* for tests wherever they are imported.
test_transform.__test__ = False  # type: ignore[attr-defined]
