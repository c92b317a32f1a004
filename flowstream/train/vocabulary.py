"""Vocabulary of a network's features, computed once from the training clips and cached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flowstream.disk import whole_file
from flowstream.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from flowstream.dataset.clips import StackClips
    from flowstream.dataset.split import Sample
    from flowstream.models.model import VectorClassifier
    from flowstream.progress import Progress
    from flowstream.train.recipe import StreamRecipe

CLIPS = 200
"""Maximum number of training videos for a vocabulary; they are evenly spaced."""


def prepare_vocabulary(
    network: VectorClassifier,
    recipe: StreamRecipe,
    samples: tuple[Sample, ...],
    *,
    cache: Path,
    device: torch.device,
    progress: bool,
    title: str,
) -> None:
    """Compute the vocabulary of a network from training videos, or read it from its file.

    The name of the file depends on the network, the videos and their flow.

    Raises
    ------
    CheckpointError
        If the file is damaged, or cannot be written.
    """
    import torch

    from flowstream.progress import Progress
    from flowstream.train.clips import viewed_clips
    from flowstream.train.evaluation import Evaluation
    from flowstream.train.features import locate_features

    views = Evaluation(segments=1, crops=1)
    every = viewed_clips(recipe, samples, views)
    features = locate_features(cache, network, every, recipe=recipe)
    path = features.with_name(f"vocabulary-{features.stem}.npz")
    if not path.exists():
        chosen = samples[:: -(-len(samples) // CLIPS)]
        shown = f"{title}: vocabulary"
        with Progress(len(chosen), title=shown, unit="video", enabled=progress) as bar:
            clips = viewed_clips(recipe, chosen, views)
            network.learn_vocabulary(_describe(network, recipe, clips, device=device, bar=bar))
        _write(path, network)
        return
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: torch.from_numpy(file[name]) for name in file.files}
        network.extractor.load_state_dict(found)
    except (OSError, ValueError, EOFError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: not the vocabulary of this network, or damaged; remove the file to compute "
            "the vocabulary again"
        ) from error


def _describe(
    network: VectorClassifier,
    recipe: StreamRecipe,
    clips: StackClips,
    *,
    device: torch.device,
    bar: Progress,
) -> Iterator[list[Tensor]]:
    """Yield the description of each clip."""
    import torch

    from flowstream.train.parallel import compute_videos

    def describe(values: Tensor) -> list[list[NDArray[np.float32]]]:
        return [
            [found.numpy() for found in network.describe(one.to(device))]
            for one in values  # (1, C, T, H, W)
        ]

    rows = range(len(clips))
    for _, arrays in compute_videos(describe, clips, recipe=recipe, device=device, rows=rows):
        yield [torch.from_numpy(one) for one in arrays]
        bar.update(1)


def _write(path: Path, network: VectorClassifier) -> None:
    values = {name: one.cpu().numpy() for name, one in network.extractor.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("wb") as file:
            np.savez(file, **values)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot write the vocabulary: {error.strerror}") from error
