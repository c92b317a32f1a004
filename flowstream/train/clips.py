"""The clips of a recipe's stream, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import torch
from torch.utils.data import DataLoader

from flowstream.dataset.clip import Kind
from flowstream.dataset.clips import FlowClips, Item, RgbClips, StackClips
from flowstream.dataset.paired import PairedClips
from flowstream.dataset.protocol import test_transform, train_transform
from flowstream.dataset.split import Sample
from flowstream.dataset.transforms import Normalise, Step
from flowstream.dataset.window import Window
from flowstream.models.model import PixelStatistics
from flowstream.store import FlowSpec
from flowstream.train.device import reading_workers
from flowstream.train.recipe import Evaluation, StreamRecipe


class Clips(Protocol):
    """What a network is trained on or scores: `StackClips`, or the features of some."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The videos, one an item."""

    @property
    def spec(self) -> FlowSpec:
        """How their stacks were made."""

    @property
    def views(self) -> int:
        """V, how many clips of a video an item has."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...

    def set_epoch(self, epoch: int) -> None:
        """Draw what is random anew."""


def training_clips(recipe: StreamRecipe, samples: Sequence[Sample]) -> StackClips | PairedClips:
    """Clips from random moments, cropped and flipped at random; or fixed ones."""
    if recipe.fixed_clips:
        return viewed_clips(recipe, samples, Evaluation(segments=recipe.segments, crops=1))
    augment = recipe.augment

    def steps(kind: Kind) -> tuple[Step, ...]:
        return train_transform(
            kind,
            recipe.rows_columns,
            scales=augment.scales,
            flip=augment.flip,
            jitter=augment.jitter,
            mean_flow=recipe.mean_flow,
            bound=recipe.bound,
        )

    return _clips(recipe, samples, steps=steps, segments=recipe.segments, training=True)


def viewed_clips(
    recipe: StreamRecipe, samples: Sequence[Sample], views: Evaluation
) -> StackClips | PairedClips:
    """All views of each video, always the same."""

    def steps(kind: Kind) -> tuple[Step, ...]:
        return test_transform(
            kind,
            recipe.rows_columns,
            crops=views.crops,
            mean_flow=recipe.mean_flow,
            bound=recipe.bound,
        )

    return _clips(recipe, samples, steps=steps, segments=views.segments, training=False)


def training_batches(
    recipe: StreamRecipe, clips: Clips, device: torch.device, *, seed: int
) -> DataLoader[Item]:
    """Batches of one epoch, in an order that `seed` fixes."""
    workers = reading_workers(recipe.workers, device)
    return DataLoader(
        clips,  # type: ignore[arg-type]  # has __getitem__ and __len__; torch is not its business
        batch_size=recipe.batch,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
        drop_last=_leaves_one(len(clips), recipe.batch),
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=device.type == "cuda",
    )


def steps_an_epoch(videos: int, batch: int) -> int:
    """How many batches `training_batches` makes of so many videos."""
    return -(-videos // batch) - _leaves_one(videos, batch)


def _leaves_one(videos: int, batch: int) -> bool:
    """Whether a last batch of one clip is left out: batch norm cannot train on it."""
    return videos > 1 and batch > 1 and videos % batch == 1


def viewed_batches(recipe: StreamRecipe, clips: Clips, device: torch.device) -> DataLoader[Item]:
    """Videos with all their views, in order, about as many views at once as training has clips."""
    workers = reading_workers(recipe.workers, device)
    return DataLoader(
        clips,  # type: ignore[arg-type]
        batch_size=max(1, recipe.batch // clips.views),
        num_workers=workers,
        worker_init_fn=_start_worker,
        # 250 views of a 20-channel clip are a gigabyte.
        prefetch_factor=1 if workers else None,
        pin_memory=device.type == "cuda",
    )


def _start_worker(_: int) -> None:
    # Parallel over clips, not within one; and OpenCV's threads do not survive a fork.
    cv2.setNumThreads(0)


def _clips(
    recipe: StreamRecipe,
    samples: Sequence[Sample],
    *,
    steps: Callable[[Kind], tuple[Step, ...]],
    segments: int,
    training: bool,
) -> StackClips | PairedClips:
    window = Window(length=recipe.frames, step=recipe.step, segments=segments)
    pixels, seed = recipe.architecture.pixels, recipe.seed

    def flow() -> FlowClips:
        transform, stacking = steps("flow"), recipe.stacking
        return FlowClips(
            samples, window, transform, training=training, seed=seed, stacking=stacking
        )

    def rgb(frames: int) -> RgbClips:
        transform = _normalised(steps("rgb"), pixels)
        return RgbClips(samples, window, transform, training=training, seed=seed, frames=frames)

    if recipe.stream == "both":
        return PairedClips(rgb(1), flow())
    return flow() if recipe.stream == "flow" else rgb(recipe.frames)


def _normalised(steps: tuple[Step, ...], pixels: PixelStatistics) -> tuple[Step, ...]:
    """The steps with the RGB statistics that the network expects."""
    return tuple(
        replace(step, mean=pixels.mean, std=pixels.deviation)
        if isinstance(step, Normalise)
        else step
        for step in steps
    )
