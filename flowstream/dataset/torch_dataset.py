"""Stacks as a dataset of torch, for other training loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from flowstream.dataset.clips import StackClips
from flowstream.dataset.inputs import INPUTS
from flowstream.dataset.split import Sample, Split
from flowstream.dataset.tv_flow import Flow
from flowstream.dataset.window import Window
from flowstream.errors import ParameterError, SplitError
from flowstream.recipe import build
from flowstream.store.pack import find_members, is_pack

Item = tuple[dict[str, torch.Tensor], int]

_SIZE = "size of the sample"


class StackDataset(Dataset[Item]):
    """Clips of stacks with their labels: `inputs, label = dataset[index]`.

    `inputs` is a dictionary by name. RGB is a `tv_tensors.Video` `(T, 3, H, W)`, uint8; flow is a
    `flowstream.dataset.tv_flow.Flow` `(L, 2, H, W)`, float32, in pixels. A transform of
    `torchvision.transforms.v2` transforms both in the same way. The default collation of a
    DataLoader makes batches. The dataset keeps no file open: it can be pickled and used by any
    number of workers, forked or spawned, and with a `DistributedSampler`.

    Parameters
    ----------
    source : Split, sequence of Sample, or path
        Videos; a path is a directory or a pack of stacks `class/video.h5`.
    part : "train", "validation" or "test"
        Part of a Split; ignored otherwise.
    inputs : iterable of str, or mapping from str to options
        Keys of `INPUTS`: "rgb", "flow", "rgb_difference".
    length : int
        L, the number of flow fields of a clip.
    step : int
        Distance between successive fields of a clip.
    segments : int
        Number of clips of a video. More than 1 adds a first dimension to each input.
    training : bool
        True: random moments, different in each epoch. False: evenly spaced, always the same.
    transform : callable, optional
        Called with the dictionary of inputs; random parameters are drawn from torch's generator.
    bound : float, optional
        Number of pixels by which flow is divided after the transform; None keeps pixels.
    seed : int

    Raises
    ------
    SplitError, StackError, ParameterError
        As `StackClips` does.
    """

    def __init__(
        self,
        source: Split | Sequence[Sample] | str | Path,
        *,
        part: str = "train",
        inputs: Iterable[str] | dict[str, dict[str, Any]] = ("rgb", "flow"),
        length: int = 10,
        step: int = 1,
        segments: int = 1,
        training: bool = True,
        transform: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]] | None = None,
        bound: float | None = None,
        seed: int = 0,
    ) -> None:
        if bound is not None and not bound > 0:
            raise ParameterError(f"bound: got {bound}, expected a number of pixels above 0")
        options = inputs if isinstance(inputs, dict) else {name: {} for name in inputs}
        samples, self.classes = _find_samples(source, part)
        self.clips = StackClips(
            samples,
            Window(length=length, step=step, segments=segments),
            {
                name: build(INPUTS[name], values, where=f"input {name!r}")
                for name, values in options.items()
            },
            training=training,
            seed=seed,
        )
        self.transform = transform
        self.bound = bound

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Videos, one for each item."""
        return self.clips.samples

    @property
    def labels(self) -> list[int]:
        """Label of each item, for samplers."""
        return [sample.label for sample in self.samples]

    def set_epoch(self, epoch: int) -> None:
        """Draw new moments from now on; call it before the workers of an epoch start."""
        self.clips.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Item:
        item = self.clips[index]
        inputs = {name: self._wrap(name, values) for name, values in item.inputs.items()}
        inputs = self._transform(inputs)
        if self.bound is not None:
            scale = 1 / self.bound
            inputs = {
                name: values.mul(scale) if isinstance(values, Flow) else values
                for name, values in inputs.items()
            }
        # plain tensors, because collation and models need nothing else
        plain = {name: values.as_subclass(torch.Tensor) for name, values in inputs.items()}
        return plain, item.label

    def _transform(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the inputs, all transformed with the same random parameters."""
        if self.transform is None:
            return inputs
        # torchvision asks images, videos and masks for the size of a sample, but not other tensors
        size = next(iter(inputs.values())).shape[-2:]
        mask = tv_tensors.Mask(torch.zeros(1, *size, dtype=torch.uint8))
        out = self.transform({**inputs, _SIZE: mask})
        return {name: values for name, values in out.items() if name != _SIZE}

    def _wrap(self, name: str, values: np.ndarray[Any, Any]) -> torch.Tensor:
        """Return (..., C, T, H, W) values as a tv_tensor (..., T, C, H, W)."""
        if values.ndim == 5 and self.clips.views == 1:
            values = values[0]
        frames = torch.from_numpy(np.ascontiguousarray(values.swapaxes(-4, -3)))
        if self.clips.inputs[name].kind == "flow":
            flow: torch.Tensor = Flow(frames)
            return flow
        if self.clips.inputs[name].kind == "rgb":
            frames = frames.to(torch.uint8)
        video: torch.Tensor = tv_tensors.Video(frames)
        return video


def to_clip(frames: torch.Tensor) -> torch.Tensor:
    """Return (..., T, C, H, W) frames as the clip (..., C, T, H, W) that models take."""
    return frames.transpose(-4, -3).contiguous()


def _list_stacks(root: Path) -> list[Path]:
    """Return the stacks `class/video.h5` of a directory or a pack."""
    if is_pack(root):
        return [path for path in find_members(root) if path.parent.parent == root]
    return sorted(root.glob("*/*.h5"))


def _find_samples(
    source: Split | Sequence[Sample] | str | Path, part: str
) -> tuple[Sequence[Sample], tuple[str, ...]]:
    """Return the samples of a source, and their classes if they are known."""
    if isinstance(source, Split):
        if part not in ("train", "validation", "test"):
            raise ParameterError(f"part: got {part!r}, expected train, validation or test")
        return getattr(source, part), source.classes
    if isinstance(source, str | Path):
        root = Path(source)
        stacks = _list_stacks(root)
        if not stacks:
            raise SplitError(f"{root}: no stacks CLASS/VIDEO.h5; extract the videos into it first")
        classes = tuple(sorted({path.parent.name for path in stacks}))
        return [
            Sample(
                f"{path.parent.name}/{path.stem}",
                classes.index(path.parent.name),
                f"{path.parent.name}/{path.stem}",
                path,
            )
            for path in stacks
        ], classes
    return source, ()
