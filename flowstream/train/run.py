"""A training run between two epochs: what it has learnt, and how it is kept and taken up again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from flowstream.dataset.paired import PairedClips
from flowstream.dataset.split import Split
from flowstream.errors import CheckpointError
from flowstream.models.inspect.bounds import refuse_huge_tensors
from flowstream.models.model import Classifier, FeatureClassifier
from flowstream.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    refuse_other_stacks,
    save_checkpoint,
)
from flowstream.train.clips import Clips, training_clips, viewed_clips
from flowstream.train.device import half_precision
from flowstream.train.features import FromFeatures, cached_features
from flowstream.train.log import Epoch, is_best
from flowstream.train.pairs import scorer_of
from flowstream.train.recipe import StreamRecipe
from flowstream.train.schedule import make_optimiser

BEST, LAST = "best.pt", "last.pt"
CACHES = {"train": "features-train.h5", "validation": "features-validation.h5"}
"""Files of kept features by part."""


@dataclass
class Run:
    """Everything that changes in training; see `start_run`."""

    recipe: StreamRecipe
    classes: tuple[str, ...]
    videos: str
    clips: Clips
    validation: Clips | None
    model: Classifier
    scorer: nn.Module
    """What scores a batch: the model, on pairs taken apart, or behind features that are kept."""
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    history: list[Epoch]

    def save(self, out: Path) -> None:
        """Write `best.pt` if this epoch is the best, and `last.pt`.

        In this order: killed between the two, the epoch is done again and writes both again.
        """
        if is_best(self.history):
            save_checkpoint(out / BEST, self._checkpoint(None))
        state = {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "videos": self.videos,
        }
        save_checkpoint(out / LAST, self._checkpoint(state))

    def go_on(self, found: Checkpoint, out: Path) -> None:
        """Take over the state of `last.pt`, a checkpoint of the same run.

        Raises
        ------
        CheckpointError
            If it is another run's.
        """
        if found.resume is None or not (out / BEST).exists():
            raise CheckpointError(f"{out}: the run there cannot go on; train into another folder")
        for what, same in (
            ("another recipe", found.recipe == self.recipe),
            ("other classes", found.classes == self.classes),
            ("other videos", found.resume["videos"] == self.videos),
        ):
            if not same:
                raise CheckpointError(
                    f"{out / LAST}: a run with {what}{_changed(found.recipe, self.recipe)}; train "
                    "into another folder, or remove this one"
                )
        refuse_other_stacks(
            found.spec, self.clips.spec, stream=self.recipe.stream, where="the training videos"
        )
        self.model.load_state_dict(found.weights)
        self.optimiser.load_state_dict(found.resume["optimiser"])
        self.scaler.load_state_dict(found.resume["scaler"])
        self.history = [Epoch(**row) for row in found.resume["history"]]

    def _checkpoint(self, resume: Mapping[str, Any] | None) -> Checkpoint:
        weights = {name: value.detach().cpu() for name, value in self.model.state_dict().items()}
        return Checkpoint(
            recipe=self.recipe,
            classes=self.classes,
            spec=self.clips.spec,
            weights=weights,
            epoch=len(self.history),
            measures=asdict(self.history[-1]),
            resume=resume,
        )


def start_run(recipe: StreamRecipe, split: Split, out: Path, *, device: torch.device) -> Run:
    """A new run, or the one whose `last.pt` lies in `out`.

    Its random weights are drawn from torch's global generator, which the recipe's seed is given to.
    """
    clips = training_clips(recipe, split.train)
    validation = None
    if split.validation:
        validation = viewed_clips(recipe, split.validation, recipe.validation)
        refuse_other_stacks(
            clips.spec, validation.spec, stream=recipe.stream, where="the validation videos"
        )
    found = load_checkpoint(out / LAST) if (out / LAST).exists() else None
    torch.manual_seed(recipe.seed)
    with refuse_huge_tensors():
        model = recipe.architecture.build(recipe.clip, len(split.classes), blank=found is not None)
        model.to(device)
    if recipe.layers == "head":
        model.requires_grad_(False)
        model.head.requires_grad_(True)
    scaled = recipe.amp and device.type == "cuda" and half_precision(device) == torch.float16
    run = Run(
        recipe=recipe,
        classes=split.classes,
        videos=_digest(split),
        clips=clips,
        validation=validation,
        model=model,
        scorer=scorer_of(model),
        optimiser=make_optimiser(recipe, model),
        scaler=torch.amp.GradScaler(device.type, enabled=scaled),
        device=device,
        history=[],
    )
    if found is not None:
        run.go_on(found, out)
    if recipe.cache_features:
        assert isinstance(model, FeatureClassifier)  # as the recipe has checked
        assert not isinstance(clips, PairedClips)
        assert not isinstance(validation, PairedClips)
        keep = partial(cached_features, network=model, recipe=recipe, device=device)
        run.clips = keep(out / CACHES["train"], clips=clips)
        if validation is not None:
            run.validation = keep(out / CACHES["validation"], clips=validation)
        run.scorer = FromFeatures(model)
    return run


def _digest(split: Split) -> str:
    """Which videos with which labels a run is trained and validated on."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (split.train, split.validation):
        lines = (f"{sample.video}\0{sample.label}" for sample in part)
        digest.update("\n".join(lines).encode("utf-8", "surrogateescape") + b"\n\n")
    return digest.hexdigest()


def _changed(found: StreamRecipe, wanted: StreamRecipe) -> str:
    """Which entries of two recipes differ, for a message."""
    one, other = asdict(found), asdict(wanted)
    changed = [
        f"{key} {one[key]!r}, now {other[key]!r}"
        for key in one
        if one[key] != other[key] and key not in ("workers", "cache_features")
    ]
    return f" ({'; '.join(changed)})" if changed else ""
