"""Short trials before a long training: memorise a few videos, and find a learning rate."""

from __future__ import annotations

import math
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowstream.dataset.augmentations import DEFAULT
from flowstream.errors import CheckpointError, ParameterError
from flowstream.progress import Progress
from flowstream.stages.recipe import OVERFIT, Recipe
from flowstream.train.recipe import StreamRecipe

if TYPE_CHECKING:
    from flowstream.dataset import Sample, Split


@dataclass(frozen=True)
class Overfit:
    """Result of a training that should memorise a few videos."""

    videos: int
    epochs: int
    loss: float
    top1: float


@dataclass(frozen=True)
class RateSearch:
    """Result of a search for a learning rate.

    Parameters
    ----------
    rates, losses : tuple of float
        Learning rate of each step, and the smoothed loss after it.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def steepest(self) -> float:
        """Rate at which the loss fell fastest."""
        end = self.losses.index(min(self.losses)) + 1
        slopes = [self.losses[k + 1] - self.losses[k] for k in range(max(1, end - 1))]
        return self.rates[slopes.index(min(slopes))]

    @property
    def diverged(self) -> float:
        """Rate at which the loss was lowest, or the search stopped."""
        return self.rates[self.losses.index(min(self.losses))]

    @property
    def suggestion(self) -> float:
        """A third of the rate of the lowest loss, but at least the steepest rate.

        Smith 2017 (arXiv:1506.01186) takes the rate below the point at which the loss rises.
        """
        return max(self.steepest, self.diverged / 3)


def overfit_streams(
    recipe: Recipe, count: int, *, progress: bool = True, epochs: int = 60
) -> dict[str, Overfit]:
    """Train each stream on `count` videos without augmentation until it has memorised them.

    A stream that cannot memorise a few videos has a fault (wrong labels, an unsuitable learning
    rate, a network without its input). The runs are in `out/overfit/`. An interrupted run is
    continued; a run of another recipe is replaced.
    """
    from flowstream.dataset import read_split
    from flowstream.train.checkpoint import load_checkpoint
    from flowstream.train.fit import fit

    split = read_split(recipe.split, recipe.stack_directory)
    few = replace(split, train=_choose_few(split.train, count), validation=(), test=())
    results = {}
    for name, stream in recipe.streams.items():
        trial = replace(
            _as_gradient(stream),
            fixed_clips=True,
            epochs=epochs,
            warm_up=0.0,
            batch=max(1, min(stream.batch, count)),
            label_smoothing=0.0,
            mixup=0.0,
            cutmix=0.0,
            ema=0.0,
            validate_every=epochs,
        )
        out = recipe.out / OVERFIT / f"{name}-{count}"
        _remove_other_run(trial, few, out)
        best = fit(trial, few, out, device=recipe.device, progress=progress, title=name)
        measures = load_checkpoint(best).measures
        results[name] = Overfit(
            videos=len(few.train),
            epochs=epochs,
            loss=float(measures["train_loss"] or 0.0),
            top1=float(measures["train_top1"] or 0.0),
        )
    return results


def _remove_other_run(recipe: StreamRecipe, split: Split, out: Path) -> None:
    """Remove the directory of a trial of another recipe, which no one needs."""
    from flowstream.train.run import check_last

    try:
        check_last(recipe, split, out)
    except CheckpointError:
        shutil.rmtree(out)


def find_rates(
    recipe: Recipe, *, steps: int = 60, lowest: float = 1e-6, progress: bool = True
) -> dict[str, RateSearch]:
    """Increase the learning rate of each stream step by step, and record the loss.

    Nothing is written. The search of a stream ends when its loss is four times the lowest. Streams
    of a linear classifier, which has no learning rate, are left out.

    Raises
    ------
    ParameterError
        If no stream has a learning rate.
    """
    from flowstream.dataset import read_split

    streams = {name: stream for name, stream in recipe.streams.items() if _has_rate(stream)}
    if not streams:
        raise ParameterError(
            "streams: all are trained by 'linear', which has no learning rate; it chooses its "
            "regularisation by cross-validation"
        )
    split = read_split(recipe.split, recipe.stack_directory)
    return {
        name: search_rate(
            _as_gradient(stream),
            split,
            steps=steps,
            lowest=lowest,
            device=recipe.device,
            title=name if progress else "",
        )
        for name, stream in streams.items()
    }


def search_rate(
    stream: StreamRecipe,
    split: Split,
    *,
    steps: int,
    lowest: float,
    device: str,
    title: str = "",
) -> RateSearch:
    """Train a stream for some steps with a rate that grows from `lowest` to 1."""
    import tempfile

    import torch

    from flowstream.device import choose_device
    from flowstream.train.batches import Batch, training_batches
    from flowstream.train.fit import train_step
    from flowstream.train.run import start_run

    place = choose_device(device)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    with (
        torch.random.fork_rng(devices=[place] if place.type == "cuda" else []),
        tempfile.TemporaryDirectory() as empty,
        Progress(steps, title=title, unit="step", enabled=bool(title)) as bar,
    ):
        run = start_run(stream, split, Path(empty), device=place)
        run.model.train(stream.layers == "all")
        run.model.head.train()
        epoch = 0
        while len(rates) < steps:
            run.clips.set_epoch(epoch)
            epoch += 1
            for batch in training_batches(stream, run.clips, place, seed=epoch):
                rate = lowest ** (1 - len(rates) / (steps - 1))
                loss, _ = train_step(run, [Batch(*batch)], rate=rate, key=(0, len(rates)))
                if not math.isfinite(loss):
                    steps = len(rates)
                    break
                # exponential mean with its bias removed, as in Adam
                mean = 0.9 * mean + 0.1 * loss
                rates.append(rate)
                losses.append(mean / (1 - 0.9 ** len(rates)))
                bar.update(note=f"loss {loss:.3f}")
                if losses[-1] > 4 * min(losses) or len(rates) >= steps:
                    steps = len(rates)
                    break
    if len(rates) < 2:
        raise ParameterError(f"learning_rate: the loss was not finite from {lowest} on")
    return RateSearch(tuple(rates), tuple(losses))


def _as_gradient(stream: StreamRecipe) -> StreamRecipe:
    """Return the stream with the gradient trainer, which has epochs and a learning rate.

    A stream of a linear classifier has no learning rate of its own. It gets one that is suitable
    for the last layer.
    """
    augment = stream.augment or DEFAULT
    made = replace(stream, trainer="gradient", trainer_options={}, augment=augment)
    return made if _has_rate(stream) else replace(made, optimiser="adamw", learning_rate=1e-2)


def _has_rate(stream: StreamRecipe) -> bool:
    from flowstream.train import TRAINERS

    return TRAINERS[stream.trainer].has_rate


def _choose_few(samples: Sequence[Sample], count: int) -> tuple[Sample, ...]:
    """Return videos of as many classes as possible."""
    by_class: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_class[sample.label].append(sample)
    rounds = [
        members[index]
        for index in range(max(map(len, by_class.values())))
        for members in by_class.values()
        if index < len(members)
    ]
    return tuple(rounds[:count])
