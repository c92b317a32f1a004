"""Cached features of a stream's CNN, and the time that caching saves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from flowstream.errors import RecipeError
from flowstream.stages.recipe import Recipe

if TYPE_CHECKING:
    from flowstream.train.run import Run

# Number of steps that are timed with and without the cache, after a first step for allocation.
_TIMED = 8


@dataclass(frozen=True)
class KeptFeatures:
    """Cached features of a stream, and the time of an epoch with and without them.

    `seconds` is the time for computing the features, about 0 if they existed. `steps` is the number
    of steps that were timed with and without the features.
    """

    stream: str
    directory: Path
    clips: int
    bytes: int
    seconds: float
    epoch_from_clips: float
    epoch_from_features: float
    steps: int

    @property
    def speed_up(self) -> float:
        """Ratio of the times of an epoch without and with the features."""
        return self.epoch_from_clips / self.epoch_from_features


def caching_streams(recipe: Recipe, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the streams of a recipe that cache features, or those of them in `names`.

    Raises
    ------
    RecipeError
        If there is no such stream, or a named one is unknown or does not cache features.
    """
    known = tuple(name for name, stream in recipe.streams.items() if stream.cache_features)
    if not known:
        raise RecipeError(
            f"streams: none of {', '.join(recipe.streams)} caches features; set in one of them "
            "model = 'cnn_rnn', fixed_clips = true and cache_features = true"
        )
    for name in names:
        if name not in known:
            raise RecipeError(
                f"streams.{name}: does not cache features; streams that do: {', '.join(known)}"
            )
    return tuple(names) or known


def keep_features(recipe: Recipe, name: str) -> KeptFeatures:
    """Compute the features of a stream's training and validation clips, if they are missing.

    `flowstream train` then trains from them. The time of an epoch is estimated from some of its
    steps, without validation.

    Raises
    ------
    RecipeError
        If the stream is unknown, or does not cache features.
    FlowstreamError
        As training does.
    """
    import torch

    from flowstream.dataset import read_split
    from flowstream.device import choose_device
    from flowstream.train.run import CACHES, start_run

    caching_streams(recipe, [name])
    stream, out = recipe.streams[name], recipe.out / name
    split = read_split(recipe.split, recipe.stack_directory)
    device = choose_device(recipe.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        plain = replace(stream, cache_features=False)
        from_clips = start_run(plain, split, out, device=device)
        begun = time.perf_counter()
        from_features = start_run(stream, split, out, device=device)
        seconds = time.perf_counter() - begun
        steps, slow = _epoch_seconds(from_clips)
        _, fast = _epoch_seconds(from_features)
    files = [path for file in CACHES.values() if (path := out / file).exists()]
    return KeptFeatures(
        stream=name,
        directory=out,
        clips=sum(
            len(clips) * clips.views
            for clips in (from_features.clips, from_features.validation)
            if clips is not None
        ),
        bytes=sum(path.stat().st_size for path in files),
        seconds=seconds,
        epoch_from_clips=slow,
        epoch_from_features=fast,
        steps=steps,
    )


def _epoch_seconds(run: Run) -> tuple[int, float]:
    """Return the number of steps that were timed, and the time of an epoch of such steps."""
    from flowstream.train.batches import Batch, training_batches
    from flowstream.train.fit import train_step

    batches = training_batches(run.recipe, run.clips, run.device, seed=run.recipe.seed)
    run.scorer.train()
    ends = []
    for batch in islice(batches, _TIMED + 1):
        train_step(run, [Batch(*batch)], rate=run.recipe.learning_rate)
        ends.append(time.perf_counter())
    if len(ends) < 2:
        raise RecipeError(
            f"batch: got {run.recipe.batch}, which gives one step per epoch; expected a smaller "
            "batch, because the timing needs several steps"
        )
    return len(ends) - 1, (ends[-1] - ends[0]) / (len(ends) - 1) * len(batches)
