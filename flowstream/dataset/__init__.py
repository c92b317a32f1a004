"""Datasets: labelled clips from split files and stacks, with motion-aware transforms.

`read_split` matches the videos of a split with the stacks on disk; `StackClips` reads clips from
those stacks; `train_transform` and `test_transform` crop, flip and normalise them. Clips are NumPy
arrays: torch is not needed before they are batched. Everything is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import lazy_attributes

if TYPE_CHECKING:
    from flowstream.dataset.augmentations import AUGMENTATIONS
    from flowstream.dataset.channels import CHANNELS
    from flowstream.dataset.clip import Clip
    from flowstream.dataset.clips import Item, StackClips
    from flowstream.dataset.inputs import INPUTS
    from flowstream.dataset.listing import SplitRecipe
    from flowstream.dataset.protocol import test_transform, train_transform
    from flowstream.dataset.split import LAYOUTS, Sample, Split, read_split
    from flowstream.dataset.stacking import STACKINGS
    from flowstream.dataset.torch_dataset import StackDataset
    from flowstream.dataset.window import Window

_LAZY = {
    "LAYOUTS": "flowstream.dataset.split",
    "STACKINGS": "flowstream.dataset.stacking",
    "Clip": "flowstream.dataset.clip",
    "AUGMENTATIONS": "flowstream.dataset.augmentations",
    "CHANNELS": "flowstream.dataset.channels",
    "INPUTS": "flowstream.dataset.inputs",
    "Item": "flowstream.dataset.clips",
    "StackClips": "flowstream.dataset.clips",
    "StackDataset": "flowstream.dataset.torch_dataset",
    "Sample": "flowstream.dataset.split",
    "Split": "flowstream.dataset.split",
    "SplitRecipe": "flowstream.dataset.listing",
    "Window": "flowstream.dataset.window",
    "read_split": "flowstream.dataset.split",
    "test_transform": "flowstream.dataset.protocol",
    "train_transform": "flowstream.dataset.protocol",
}

__all__ = [
    "AUGMENTATIONS",
    "CHANNELS",
    "INPUTS",
    "LAYOUTS",
    "STACKINGS",
    "Clip",
    "Item",
    "Sample",
    "Split",
    "SplitRecipe",
    "StackClips",
    "StackDataset",
    "Window",
    "read_split",
    "test_transform",
    "train_transform",
]


__getattr__ = lazy_attributes(__name__, _LAZY)
