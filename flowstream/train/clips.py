"""The clips of a recipe's stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from flowstream.dataset.clips import Item, Shape, StackClips
from flowstream.dataset.inputs import INPUTS, ClipInput
from flowstream.dataset.protocol import test_transform, train_transform
from flowstream.dataset.split import Sample
from flowstream.dataset.transforms import Normalise, Step
from flowstream.dataset.window import Window
from flowstream.recipe import build
from flowstream.store import FlowSpec
from flowstream.train.evaluation import Evaluation
from flowstream.train.recipe import StreamRecipe
from flowstream.train.streams import BOTH


class Clips(Protocol):
    """Input of training and scoring: `StackClips`, or their cached features."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Videos, one per item."""

    @property
    def spec(self) -> FlowSpec:
        """Flow spec of their stacks."""

    @property
    def shapes(self) -> dict[str, Shape]:
        """(C, T, H, W) of each input by name."""

    @property
    def views(self) -> int:
        """V, the number of clips of a video in an item."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...

    def set_epoch(self, epoch: int) -> None:
        """Draw the random moments and crops of this epoch."""


def training_clips(recipe: StreamRecipe, samples: Sequence[Sample]) -> StackClips:
    """Return clips with random moments, crops and flips, or fixed clips if the recipe says so."""
    if recipe.fixed_clips:
        return viewed_clips(recipe, samples, Evaluation(segments=recipe.segments, crops=1))
    transform = train_transform(
        recipe.rows_columns,
        augment=recipe.augment,
        mean_flow=recipe.mean_flow,
        channels=recipe.channels,
        normalise=make_normalise(recipe),
    )
    return _cut(recipe, samples, transform, segments=recipe.segments, training=True)


def viewed_clips(recipe: StreamRecipe, samples: Sequence[Sample], views: Evaluation) -> StackClips:
    """Return all views of each video, which are fixed."""
    transform = test_transform(
        recipe.rows_columns,
        crops=views.num_crops,
        mean_flow=recipe.mean_flow,
        channels=recipe.channels,
        normalise=make_normalise(recipe),
    )
    return _cut(recipe, samples, transform, segments=views.segments, training=False)


def make_inputs(recipe: StreamRecipe) -> dict[str, ClipInput]:
    """Return the inputs of a stream by name.

    Parameters of an input that are fields of the recipe get the values of the recipe.
    """
    made = {}
    for name in recipe.inputs:
        kind = INPUTS[name]
        names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
        values = {option: getattr(recipe, option) for option in names if hasattr(recipe, option)}
        if recipe.stream == BOTH and "frames" in values:
            values["frames"] = 1  # in addition to the flow of a window, its middle frame
        made[name] = build(kind, values, where=f"input {name!r}")
    return made


def make_normalise(recipe: StreamRecipe) -> Normalise:
    """Return the normalisation that the recipe's network expects."""
    pixels = recipe.architecture.pixels
    return Normalise(recipe.bound, mean=pixels.mean, std=pixels.deviation)


def _cut(
    recipe: StreamRecipe,
    samples: Sequence[Sample],
    transform: tuple[Step, ...],
    *,
    segments: int,
    training: bool,
) -> StackClips:
    inputs = make_inputs(recipe)
    window = Window(
        length=recipe.frames + max(one.extra_fields for one in inputs.values()),
        step=recipe.step,
        segments=segments,
        sampling=recipe.sampling,
        run=recipe.run,
        short=recipe.short,
    )
    return StackClips(
        samples,
        window,
        inputs,
        transform=transform,
        training=training,
        seed=recipe.seed,
    )
