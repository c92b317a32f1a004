"""The features of a stream's CNN, kept ahead of training, and what that saves."""

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

# Steps that are timed each way; the first of all is left out, for it allocates.
_TIMED = 8


@dataclass(frozen=True)
class KeptFeatures:
    """What is kept of a stream, and how long an epoch of training takes with and without.

    `seconds` went into the files just now, next to none where they were there; `steps` were timed
    each way.
    """

    stream: str
    folder: Path
    clips: int
    bytes: int
    seconds: float
    epoch_from_clips: float
    epoch_from_features: float
    steps: int

    @property
    def speed_up(self) -> float:
        """How many times as fast an epoch is from the features."""
        return self.epoch_from_clips / self.epoch_from_features


def caching_streams(recipe: Recipe, names: Sequence[str] = ()) -> tuple[str, ...]:
    """The streams of a recipe that keep their features: those asked for, or all.

    Raises
    ------
    RecipeError
        If there is none, or one that is asked for is unknown or keeps none.
    """
    known = tuple(name for name, stream in recipe.streams.items() if stream.cache_features)
    if not known:
        raise RecipeError(
            f"streams: none of {', '.join(recipe.streams)} keeps features; give one "
            "model = 'cnn_rnn', fixed_clips = true and cache_features = true"
        )
    for name in names:
        if name not in known:
            raise RecipeError(
                f"streams.{name}: keeps no features; those that do: {', '.join(known)}"
            )
    return tuple(names) or known


def keep_features(recipe: Recipe, name: str) -> KeptFeatures:
    """Compute the features of a stream's training and validation clips, where they are missing.

    `flowstream train` then trains from them. An epoch is timed by some of its steps, validation
    not counted.

    Raises
    ------
    RecipeError
        If the stream is unknown, or does not keep features.
    FlowstreamError
        As training does.
    """
    import torch

    from flowstream.dataset import read_split
    from flowstream.device import choose_device
    from flowstream.train.run import CACHES, start_run

    caching_streams(recipe, [name])
    stream, out = recipe.streams[name], recipe.out / name
    split = read_split(recipe.split, recipe.stack_folder)
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
        folder=out,
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
    """How many steps were timed, and how long an epoch of such steps takes."""
    from flowstream.train.clips import training_batches
    from flowstream.train.fit import train_step

    batches = training_batches(run.recipe, run.clips, run.device, seed=run.recipe.seed)
    run.scorer.train()
    ends = []
    for values, labels, _ in islice(batches, _TIMED + 1):
        train_step(run, values, labels, rate=run.recipe.learning_rate)
        ends.append(time.perf_counter())
    if len(ends) < 2:
        raise RecipeError(
            f"batch: got {run.recipe.batch}, one step an epoch; expected a smaller one, to time "
            "steps by"
        )
    return len(ends) - 1, (ends[-1] - ends[0]) / (len(ends) - 1) * len(batches)
