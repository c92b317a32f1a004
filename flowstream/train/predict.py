"""Class probabilities of videos: several clips of each, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from flowstream.dataset.split import Sample, Split
from flowstream.device import choose_device
from flowstream.errors import CheckpointError
from flowstream.progress import Progress
from flowstream.scores import Scores
from flowstream.train.checkpoint import check_spec, load_checkpoint
from flowstream.train.clips import Clips, viewed_batches, viewed_clips
from flowstream.train.device import autocast
from flowstream.train.pairs import scorer_of
from flowstream.train.recipe import Evaluation, StreamRecipe

Part = Literal["train", "validation", "test"]


def predict(
    path: str | Path,
    split: Split,
    part: Part,
    *,
    views: Evaluation | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Scores:
    """Score the videos of a part with a checkpoint.

    Probabilities are softmax scores of each view, averaged over the views (Simonyan & Zisserman
    2014, arXiv:1406.2199, section 5, averages scores too). TSN averages before the softmax instead;
    there one confident view outvotes many others, and the result is no mixture of probabilities.

    Parameters
    ----------
    path : str or Path
        The checkpoint.
    split : Split
    part : "train", "validation" or "test"
    views : Evaluation or None
        None: the evaluation of its recipe.
    device : str
        See `choose_device`.
    progress : bool
        A bar on stderr.

    Returns
    -------
    Scores
        In the order of the part.

    Raises
    ------
    CheckpointError
        If it is not one, has other classes than the split, or was trained on other flow than the
        stacks hold.
    SplitError
        If the part is empty.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.classes != split.classes:
        raise CheckpointError(
            f"{path}: trained for {_named(checkpoint.classes)}, the split has "
            f"{_named(split.classes)}; predict with the split of training"
        )
    recipe = checkpoint.recipe
    samples: Sequence[Sample] = getattr(split, part)
    clips = viewed_clips(recipe, samples, views or recipe.evaluation)
    check_spec(checkpoint, clips.spec, where=f"the {part} videos")
    place = choose_device(device)
    scorer = scorer_of(checkpoint.network().to(place))
    probabilities = score_videos(scorer, clips, recipe, device=place, progress=progress)
    return Scores(
        scores=probabilities,
        labels=np.array([sample.label for sample in samples], np.int64),
        videos=tuple(sample.video for sample in samples),
        classes=checkpoint.classes,
        stream=recipe.stream,
        part=part,
        checkpoint=checkpoint.identity,
    )


def score_videos(
    model: nn.Module,
    clips: Clips,
    recipe: StreamRecipe,
    *,
    device: torch.device,
    progress: bool = False,
) -> NDArray[np.float32]:
    """(N, K) probabilities of the videos of `clips`, averaged over their views.

    The model is put into evaluation mode and left there.
    """
    model.eval()
    means: list[torch.Tensor] = []
    bar = Progress(len(clips), title="predict", unit="video", enabled=progress, keep=False)
    with bar, torch.inference_mode(), autocast(device, recipe.amp):
        for values, labels, _ in viewed_batches(recipe, clips, device):
            scores = [
                model(part.to(device, non_blocking=True)).float()
                for part in values.flatten(0, 1).split(recipe.batch)
            ]
            probabilities = torch.cat(scores).softmax(dim=1)
            means.append(probabilities.reshape(len(labels), clips.views, -1).mean(dim=1).cpu())
            bar.update(len(labels))
    averaged: NDArray[np.float32] = torch.cat(means).numpy()
    return averaged


def _named(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
    return f"{len(classes)} classes ({shown})"
