"""Features of a CNN that is not trained, computed once and cached."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flowstream.dataset.clips import Item, Shape, StackClips
from flowstream.dataset.split import Sample
from flowstream.disk import open_regular, whole_file
from flowstream.errors import CheckpointError
from flowstream.models.model import FeatureClassifier
from flowstream.train.device import autocast
from flowstream.train.known_features import MARKS, UNREADABLE, VIDEOS, mark_samples, read_known
from flowstream.train.parallel import compute_videos
from flowstream.train.recipe import StreamRecipe
from flowstream.train.scorer import Inputs

FORMAT = "flowstream.features 1"

FEATURES = "features"
"""Name of the input that holds features."""


class FromFeatures(nn.Module):
    """Network from the features of a `FeatureClassifier`'s CNN to its scores.

    Features are clips of one pixel, `(N, D, T, 1, 1)`: they are batched, split into views and
    averaged like other clips.
    """

    def __init__(self, network: FeatureClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the (N, K) scores at the last moment."""
        features = inputs[FEATURES][..., 0, 0].transpose(1, 2)
        return self.network.score_features(features)[:, -1]


class FeatureClips:
    """Cached features, item by item as `StackClips` returns them: (V, D, T, 1, 1).

    The file is opened for each item, so that the dataset can be sent to workers.

    Parameters
    ----------
    path : Path
        File written by `cached_features`.
    clips : StackClips
        Clips that the features were computed from.
    """

    def __init__(self, path: Path, clips: StackClips) -> None:
        self.path = path
        self.spec = clips.spec
        self.samples: tuple[Sample, ...] = clips.samples
        self.views = clips.views
        with h5py.File(path, "r") as file:
            _, _, frames, size = file["features"].shape
        self.shapes: dict[str, Shape] = {FEATURES: (size, frames, 1, 1)}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self.samples):
            raise IndexError(f"got index {index} of {len(self.samples)} samples")
        with h5py.File(self.path, "r") as file:
            features = file["features"][index]  # (V, T, D)
        values = np.ascontiguousarray(features.swapaxes(1, 2))[..., None, None]
        return Item({FEATURES: values}, self.samples[index].label, index)

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: cached features are the same in all epochs."""


def locate_features(
    directory: Path, network: FeatureClassifier, clips: StackClips, *, recipe: StreamRecipe
) -> Path:
    """Return the file of these features in a directory that several runs share."""
    text = json.dumps(description(network, clips, recipe), sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return directory / f"{recipe.stream}-{digest}.h5"


def cached_features(
    path: Path,
    network: FeatureClassifier,
    clips: StackClips,
    *,
    recipe: StreamRecipe,
    device: torch.device,
    progress: Callable[[int], object] = lambda videos: None,
) -> FeatureClips:
    """Return the features in a file, after computing them if there is no file.

    Parameters
    ----------
    path : Path
        HDF5 file with `/features` (N, V, T, D) float32; written completely or not at all.
    network : FeatureClassifier
        Network on `device`; in evaluation mode afterwards if it had to be run.
    clips : StackClips
        Fixed clips, not random ones.
    recipe : StreamRecipe
    device : torch.device
    progress : function of an int
        Called with the number of videos that were completed.

    Raises
    ------
    CheckpointError
        If the file cannot be read or written, or contains features of another CNN, or of other
        videos, clips or flow. The message names the difference.
    """
    wanted = description(network, clips, recipe)
    if not path.exists():
        # a unique name, because two runs that share a directory may compute the same features
        own = path.with_name(f"{path.stem}.{os.getpid()}.h5")
        _fill(own, network, clips, recipe=recipe, device=device, wanted=wanted, progress=progress)
        _rename(own, path)
    try:
        with open_regular(path) as opened, h5py.File(opened, "r") as file:
            found = json.loads(file.attrs["of"]) if file.attrs.get("format") == FORMAT else None
            if found == wanted:
                _check(file["features"], clips)
    except UNREADABLE as error:
        raise CheckpointError(
            f"{path}: not a cache of features, or damaged; remove the file to compute them again"
        ) from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: not a cache of features, expected {FORMAT!r}")
    changed = [name for name, value in wanted.items() if found.get(name) != value]
    if changed:
        raise CheckpointError(
            f"{path}: features of another {', another '.join(changed)}; remove the file to compute "
            "them again, or train into another directory"
        )
    return FeatureClips(path, clips)


def _rename(own: Path, path: Path) -> None:
    try:
        os.replace(own, path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot write the features: {error.strerror}") from error


def _check(features: h5py.Dataset, clips: StackClips) -> None:
    """Read all features once to verify their checksums, and check their shapes and values."""
    if features.ndim != 4 or features.shape[:2] != (len(clips), clips.views):
        raise ValueError(f"got shape {features.shape}")
    for one in features:
        if not np.isfinite(one).all():
            raise ValueError("got numbers that are not finite")


def description(
    network: FeatureClassifier, clips: StackClips, recipe: StreamRecipe
) -> Mapping[str, Any]:
    """Return all dependencies of the features as plain data, by their names in messages."""
    cnn = hashlib.blake2b(repr(network.extractor).encode(), digest_size=16)
    for name, value in sorted(network.extractor.state_dict().items()):
        cnn.update(name.encode())
        cnn.update(value.detach().cpu().contiguous().numpy().tobytes())
    videos = hashlib.blake2b(digest_size=16)
    for sample in clips.samples:
        videos.update(sample.video.encode("utf-8", "surrogateescape") + b"\n")
    spec = clips.spec.as_dict()
    if not recipe.uses_flow:  # frames do not depend on the flow method
        spec = {name: value for name, value in spec.items() if name not in ("method", "codec")}
    window = clips.window
    depends_on = {
        "CNN": cnn.hexdigest(),
        VIDEOS: videos.hexdigest(),
        "kind of stacks": spec,
        "stream": recipe.stream,
        "clip": [
            clips.shapes[recipe.stream],
            window.length,
            window.step,
            window.segments,
            window.sampling,
            window.run,
            clips.views,
        ],
        "treatment of flow": []
        if not recipe.uses_flow
        else [
            recipe.bound,
            recipe.mean_flow,
            recipe.stacking,
            recipe.camera,
            list(recipe.channels),
        ],
    }
    plain: Mapping[str, Any] = json.loads(json.dumps(depends_on))
    return plain


def _fill(
    path: Path,
    network: FeatureClassifier,
    clips: StackClips,
    *,
    recipe: StreamRecipe,
    device: torch.device,
    wanted: Mapping[str, Any],
    progress: Callable[[int], object],
) -> None:
    network.eval()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        marks = mark_samples(clips.samples)
        known = read_known(path, marks, wanted)
        with whole_file(path) as part, h5py.File(part, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["of"] = json.dumps(wanted)
            file[MARKS] = marks
            missing = set(range(len(clips)))
            for row, one in known:
                _write_row(file, row, one, count=len(clips))
                missing.remove(row)
            progress(len(clips) - len(missing))
            compute = partial(_compute, network, recipe=recipe, device=device)
            found = compute_videos(
                compute, clips, recipe=recipe, device=device, rows=sorted(missing)
            )
            for row, (one,) in found:
                _write_row(file, row, one, count=len(clips))
                progress(1)
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: cannot write the features: {reason}") from error


def _write_row(file: h5py.File, row: int, features: NDArray[np.float32], *, count: int) -> None:
    if "features" not in file:
        shape = features.shape
        file.create_dataset(
            "features", (count, *shape), np.float32, chunks=(1, *shape), fletcher32=True
        )
    file["features"][row] = features


@torch.inference_mode()
def _compute(
    network: FeatureClassifier, values: Tensor, *, recipe: StreamRecipe, device: torch.device
) -> list[list[NDArray[np.float32]]]:
    """Return features (V, T, D) of each of (N, V, C, T, H, W) clips, a batch at a time."""
    with autocast(device, recipe.amp):
        parts = [
            network.features(part.to(device, non_blocking=True)).float().cpu()
            for part in torch.split(values.flatten(0, 1), recipe.batch)
        ]
    features = torch.cat(parts).numpy()
    return [[one] for one in features.reshape(*values.shape[:2], *features.shape[1:])]
