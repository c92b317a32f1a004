"""State of a training run between two epochs; saving and restoring this state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError, ParameterError
from flowstream.models.inspect.bounds import refuse_huge_tensors
from flowstream.models.model import Classifier, FeatureClassifier
from flowstream.train.average import WeightAverage
from flowstream.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    refuse_other_stacks,
    save_checkpoint,
)
from flowstream.train.clips import Clips, training_clips, viewed_clips
from flowstream.train.continuation import (
    Wanted,
    compute_fingerprint,
    describe_wanted,
    refuse_other_run,
)
from flowstream.train.device import half_precision
from flowstream.train.distributed import Processes
from flowstream.train.features import FromFeatures, cached_features
from flowstream.train.log import Epoch, is_best
from flowstream.train.recipe import StreamRecipe
from flowstream.train.schedule import make_optimiser
from flowstream.train.scorer import Scorer

BEST, LAST = "best.pt", "last.pt"
CACHES = {"train": "features-train.h5", "validation": "features-validation.h5"}
"""Files of cached features by part."""


@dataclass
class Run:
    """State of a training; see `start_run`."""

    recipe: StreamRecipe
    classes: tuple[str, ...]
    videos: str
    clips: Clips
    validation: Clips | None
    model: Classifier
    scorer: nn.Module
    """Network that scores the inputs of a batch; with several processes it sums gradients."""
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    history: list[Epoch]
    average: WeightAverage | None = None
    heads: tuple[int, ...] = ()
    """Number of classes of each dataset, where several are trained on."""
    processes: Processes = field(default_factory=Processes)

    @property
    def best_model(self) -> Classifier:
        """Network that is validated and kept: the averaged one, if weights are averaged."""
        return self.model if self.average is None else self.average.model

    def make_validation_scorer(self) -> nn.Module:
        """Return the network that scores the validation inputs."""
        return _make_scorer(self.best_model, self.recipe)

    def save(self, out: Path) -> None:
        """Write `best.pt` if this epoch is the best, and `last.pt`.

        `best.pt` is written first: if a run is killed between the two writes, the next run repeats
        the epoch and writes both files.
        """
        if self.processes.is_main:
            if is_best(self.history):
                save_checkpoint(out / BEST, self._checkpoint(self.best_model, None))
            state = {
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "history": [asdict(epoch) for epoch in self.history],
                "videos": self.videos,
                "average": None if self.average is None else self.average.state_dict(),
            }
            save_checkpoint(out / LAST, self._checkpoint(self.model, state))
        self.processes.wait()

    def restore(self, found: Checkpoint, out: Path) -> None:
        """Continue from `last.pt`, a checkpoint of the same run.

        The number of epochs may have increased. The run then continues with the schedule for the
        new number.

        Raises
        ------
        CheckpointError
            If it belongs to another run.
        """
        wanted = Wanted(self.recipe, self.classes, self.videos, self.clips.spec)
        _refuse_other(found, wanted, out)
        assert found.resume is not None  # checked by _refuse_other
        try:
            self._restore(found, found.resume)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{out / LAST}: its state does not fit this run; train into another directory, or "
                "remove this one"
            ) from error

    def _restore(self, found: Checkpoint, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(found.weights)
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.history = [Epoch(**row) for row in state["history"]]
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def _checkpoint(self, model: Classifier, resume: Mapping[str, Any] | None) -> Checkpoint:
        weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
        return Checkpoint(
            recipe=self.recipe,
            classes=self.classes,
            spec=self.clips.spec,
            weights=weights,
            epoch=len(self.history),
            measures=asdict(self.history[-1]),
            resume=resume,
        )


def start_run(
    recipe: StreamRecipe,
    split: Split,
    out: Path,
    *,
    device: torch.device,
    processes: Processes = Processes(),  # noqa: B008  frozen
) -> Run:
    """Start a new run, or continue the one whose `last.pt` is in `out`.

    Random weights are drawn from torch's global generator, which is seeded with the recipe's seed.
    """
    clips = training_clips(recipe, split.train)
    validation = None
    if split.validation:
        validation = viewed_clips(recipe, split.validation, recipe.validation)
        refuse_other_stacks(
            clips.spec, validation.spec, stream=recipe.stream, where="the validation videos"
        )
    found = load_checkpoint(out / LAST) if (out / LAST).exists() else None
    model = _build_model(recipe, len(split.classes), device, blank=found is not None)
    scaled = recipe.amp and device.type == "cuda" and half_precision(device) == torch.float16
    run = Run(
        recipe=recipe,
        classes=split.classes,
        videos=compute_fingerprint(split),
        clips=clips,
        validation=validation,
        model=model,
        scorer=_make_scorer(model, recipe),
        optimiser=make_optimiser(recipe, model),
        scaler=torch.amp.GradScaler(device.type, enabled=scaled),
        device=device,
        history=[],
        average=WeightAverage(model, recipe.ema) if recipe.ema else None,
        heads=split.heads,
        processes=processes,
    )
    if found is not None:
        run.restore(found, out)
    if recipe.cache_features:
        _cache_features(run, out)
    if processes.count > 1:
        run.scorer = nn.parallel.DistributedDataParallel(
            run.scorer, device_ids=[device.index] if device.type == "cuda" else None
        )
    elif recipe.compile:
        run.scorer.compile()
    return run


def check_last(recipe: StreamRecipe, split: Split, out: Path) -> None:
    """Raise `CheckpointError` if `out` contains a run that `start_run` would refuse to continue."""
    if (out / LAST).exists():
        _refuse_other(load_checkpoint(out / LAST), describe_wanted(recipe, split), out)


def _refuse_other(found: Checkpoint, wanted: Wanted, out: Path) -> None:
    """Raise `CheckpointError` unless `last.pt` of a directory belongs to the wanted run."""
    if found.resume is None or not (out / BEST).exists():
        raise CheckpointError(f"{out}: the run cannot be continued; train into another directory")
    refuse_other_run(out / LAST, found, wanted)


def _build_model(
    recipe: StreamRecipe, classes: int, device: torch.device, *, blank: bool
) -> Classifier:
    torch.manual_seed(recipe.seed)
    with refuse_huge_tensors():
        model = recipe.architecture.build(recipe.clip, classes, blank=blank)
        model.to(device)
    if recipe.channels_last and not any(value.ndim == 5 for value in model.parameters()):
        model.to(memory_format=torch.channels_last)
    if recipe.layers == "head":
        model.requires_grad_(False)
        model.head.requires_grad_(True)
    return model


def _make_scorer(model: Classifier, recipe: StreamRecipe) -> nn.Module:
    if recipe.cache_features and isinstance(model, FeatureClassifier):
        return FromFeatures(model)
    return Scorer(model)


def _cache_features(run: Run, out: Path) -> None:
    """Compute missing features of the run's clips, and replace the clips by their features."""
    if not isinstance(run.model, FeatureClassifier):
        raise ParameterError(f"cache_features: model {run.recipe.model!r} has no features to cache")
    keep = partial(cached_features, network=run.model, recipe=run.recipe, device=run.device)
    run.clips = keep(out / CACHES["train"], clips=training_clips(run.recipe, run.clips.samples))
    if run.validation is not None:
        validation = viewed_clips(run.recipe, run.validation.samples, run.recipe.validation)
        run.validation = keep(out / CACHES["validation"], clips=validation)
