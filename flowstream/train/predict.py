"""Class probabilities of videos, averaged over several clips of each."""

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
from flowstream.models.model import Classifier, ClipShape, VectorClassifier
from flowstream.progress import Progress
from flowstream.scores import Scores
from flowstream.train.batches import Batch, viewed_batches
from flowstream.train.checkpoint import Checkpoint, check_spec, load_checkpoint
from flowstream.train.clips import Clips, viewed_clips
from flowstream.train.device import autocast
from flowstream.train.distributed import Processes, choose_local_device, join_processes
from flowstream.train.evaluation import Evaluation
from flowstream.train.features import FromFeatures, cached_features, locate_features
from flowstream.train.recipe import StreamRecipe
from flowstream.train.scorer import Scorer, flatten_views, move, split_batch

Part = Literal["train", "validation", "test"]


def predict(
    path: str | Path,
    split: Split,
    part: Part,
    *,
    views: Evaluation | None = None,
    cache: Path | None = None,
    device: str = "auto",
    progress: bool = True,
    title: str = "",
) -> Scores:
    """Score the videos of a part with a checkpoint.

    Parameters
    ----------
    path : str or Path
        Path of the checkpoint.
    split : Split
    part : "train", "validation" or "test"
    views : Evaluation or None
        None: the evaluation of its recipe.
    cache : Path or None
        Directory in which the features of a network that is not trained are cached.
    device : str
        See `choose_device`.
    progress : bool
        Show a progress bar on stderr.
    title : str
        Name of the stream in the bar; the default is its kind of input.

    Returns
    -------
    Scores
        In the order of the part.

    Raises
    ------
    CheckpointError
        If it is not a checkpoint, or its classes or its flow differ from those of the split.
    SplitError
        If the part is empty.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.classes != split.classes:
        raise CheckpointError(
            f"{path}: trained for {_shorten(checkpoint.classes)}, the split has "
            f"{_shorten(split.classes)}; predict with the split of training"
        )
    recipe = checkpoint.recipe
    views = views or recipe.evaluation
    samples: Sequence[Sample] = getattr(split, part)
    clips = viewed_clips(recipe, samples, views)
    check_spec(checkpoint, clips.spec, where=f"the {part} videos")
    place = choose_local_device(choose_device(device))
    processes = join_processes(place)
    network = load_network(checkpoint, clips).to(place)
    scorer: nn.Module = Scorer(network)
    scored: Clips = clips
    if cache is not None and isinstance(network, VectorClassifier) and processes.count == 1:
        path = locate_features(cache, network, clips, recipe=recipe)
        shown = f"{title or recipe.stream}: features"
        with Progress(len(clips), title=shown, unit="video", enabled=progress) as bar:
            scored = cached_features(
                path, network, clips, recipe=recipe, device=place, progress=bar.update
            )
        scorer = FromFeatures(network)
    probabilities = score_videos(
        scorer,
        scored,
        recipe,
        views=views,
        device=place,
        processes=processes,
        title=f"{title or recipe.stream}: {part}" if progress and processes.is_main else "",
    )
    return Scores(
        scores=probabilities,
        labels=np.array([sample.label for sample in samples], np.int64),
        videos=tuple(sample.video for sample in samples),
        classes=checkpoint.classes,
        stream=recipe.stream,
        part=part,
        checkpoint=checkpoint.identity,
        protocol=str(views),
        groups=tuple(sample.group for sample in samples),
    )


def load_network(checkpoint: Checkpoint, clips: Clips) -> Classifier:
    """Return the trained network for the shape of the clips.

    Clips of the whole frame are larger than those of training. The same weights are therefore
    loaded into a network that is built for the larger shape and averages over space at its end.

    Raises
    ------
    CheckpointError
        If the weights do not fit clips of that shape, because the network depends on its size.
    """
    shape = ClipShape(*list(clips.shapes.values())[-1])
    if shape == checkpoint.recipe.clip:
        return checkpoint.network()
    model = checkpoint.recipe.architecture.build(shape, len(checkpoint.classes), blank=True)
    try:
        model.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"crops: got 'full', but model {checkpoint.recipe.model!r} accepts only clips of the "
            "size of its training; use crops = 10"
        ) from error
    return model.eval()


def score_videos(
    model: nn.Module,
    clips: Clips,
    recipe: StreamRecipe,
    *,
    views: Evaluation,
    device: torch.device,
    processes: Processes = Processes(),  # noqa: B008  frozen
    title: str = "",
) -> NDArray[np.float32]:
    """Return the (N, K) probabilities of the videos of `clips`, averaged over their views.

    The model is set to evaluation mode. Several processes divide the videos among them, and each
    process returns the probabilities of all videos. A progress bar is shown if it has a title.
    """
    model.eval()
    own = range(processes.rank, len(clips), processes.count)
    rows: list[tuple[int, NDArray[np.float32]]] = []
    bar = Progress(len(clips), title=title, unit="video", enabled=bool(title), keep=False)
    with bar, torch.inference_mode(), autocast(device, recipe.amp):
        for batch in viewed_batches(recipe, clips, device, indices=own):
            inputs, labels, samples = Batch(*batch)
            flat, _ = flatten_views(inputs)
            parts = [model(move(part, device)).float() for part in split_batch(flat, recipe.batch)]
            logits = torch.cat(parts).reshape(len(labels), clips.views, -1)
            if views.average == "logits":
                probabilities = logits.mean(dim=1).softmax(dim=1)
            else:
                probabilities = logits.softmax(dim=2).mean(dim=1)
            rows += zip(samples.tolist(), probabilities.cpu().numpy(), strict=True)
            bar.update(len(labels) * processes.count)
    every = dict(row for part in processes.gather(rows) for row in part)
    return np.stack([every[index] for index in range(len(clips))])


def _shorten(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
    return f"{len(classes)} classes ({shown})"
