"""Clips of stacks, for a DataLoader or any loop: labelled, transformed numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowstream.dataset.clip import Clip
from flowstream.dataset.inputs import ClipInput
from flowstream.dataset.sharing import closed_stack
from flowstream.dataset.split import Sample
from flowstream.dataset.transforms import Step, apply
from flowstream.dataset.window import Window
from flowstream.errors import ParameterError, SplitError, StackError
from flowstream.store import FlowSpec, Stack

# Purposes of an item's two random streams: one draws moments, one transforms.
_MOMENT, _TRANSFORM = 0, 1

Shape = tuple[int, int, int, int]


class Item(NamedTuple):
    """Element of a dataset; torch's default collation makes batches of it.

    `inputs` holds one float32 array for each input, by name: `(C, T, H, W)` for training on one
    segment, otherwise `(V, C, T, H, W)`: the views of one video, ordered by segment and then by
    crop. `label` is the label of the video, and `sample` its index.
    """

    inputs: dict[str, NDArray[np.float32]]
    label: int
    sample: int


class StackClips:
    """Clips cut from the stacks of samples; one item per sample.

    All inputs of an item have the same moments, crops and flips. An item depends only on the seed,
    the epoch and the index, not on the number of workers or on other items. Each stack is opened
    at the start to check it, and again for each item; in a block of `share_stacks`, the datasets of
    a run check each stack once. No file stays open, so the dataset can be sent to forked and
    spawned workers.

    Parameters
    ----------
    samples : sequence of Sample
    window : Window
    inputs : mapping from name to ClipInput
        Inputs that are read from each window, by name.
    transform : tuple of steps
        From `train_transform`, `test_transform` or your own.
    training : bool
        True: random moments, different in each epoch. False: evenly spaced moments, always the
        same.
    seed : int

    Raises
    ------
    SplitError
        If there are no samples.
    ParameterError
        If there is no input, or an input cannot be read from the window.
    StackError
        If a stack cannot be read, lacks an input, is too short for a window that refuses short
        videos, or was made with other settings than the first.
    ShapeError
        If the transform does not fit the stacks' size.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        window: Window,
        inputs: Mapping[str, ClipInput],
        *,
        transform: tuple[Step, ...] = (),
        training: bool,
        seed: int = 0,
    ) -> None:
        if not inputs:
            raise ParameterError("inputs: got none, expected at least one, such as rgb or flow")
        for one in inputs.values():
            one.check_window(window)
        self.samples = tuple(samples)
        self.window = window
        self.inputs = dict(inputs)
        self.transform = transform
        self.training = training
        self.seed = seed
        self.epoch = 0
        self._stacks = tuple(self._open_all())
        self.spec: FlowSpec = self._stacks[0].spec
        self.shapes: dict[str, Shape] = {}
        # Run once with empty clips, so that an unsuitable transform fails here, not in an epoch.
        for name, one in self.inputs.items():
            blank = one.make_blank(window, self.spec.size)
            views = apply(transform, blank, np.random.default_rng(seed))
            channels, frames, rows, columns = views[0].values.shape
            self.shapes[name] = (channels, frames, rows, columns)
            self._views_per_segment = len(views)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self.samples):
            raise IndexError(f"got index {index} of {len(self.samples)} samples")
        moments = self._generator(index, _MOMENT) if self.training else None
        with self._stacks[index] as stack:
            starts = self.window.starts(stack.num_fields, moments)
            inputs = {
                name: self._read_views(name, stack, starts=starts, index=index)
                for name in self.inputs
            }
        if self.training and self.views == 1:
            inputs = {name: values[0] for name, values in inputs.items()}
        return Item(inputs, self.samples[index].label, index)

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def set_epoch(self, epoch: int) -> None:
        """Draw the moments, crops and flips of this epoch from now on.

        Call it before the workers of an epoch start: persistent workers would not see the change,
        because they hold a copy.
        """
        self.epoch = epoch

    @property
    def views(self) -> int:
        """V, the number of clips of a video in an item."""
        return self.window.segments * self._views_per_segment

    def read(self, index: int, name: str, start: int) -> Clip:
        """Return the clip of one window of a sample, before any transform."""
        with self._stacks[index] as stack:
            return self.inputs[name].read(stack, self.window, start)

    def _read_views(
        self, name: str, stack: Stack, *, starts: Sequence[int], index: int
    ) -> NDArray[np.float32]:
        """Return (V, C, T, H, W) of one input."""
        values = np.empty((self.views, *self.shapes[name]), np.float32)
        # Whole fields are read and cropped afterwards: a chunk is decompressed as a whole, and to
        # decode only the crop of 10 fields of 340x256 takes as long as to decode all (0.8 ms; the
        # transform takes 4 ms).
        for segment, start in enumerate(starts):
            # The same generator again: all segments and inputs of a video get one crop and flip.
            generator = self._generator(index, _TRANSFORM)
            clip = self.inputs[name].read(stack, self.window, start)
            views = apply(self.transform, clip, generator)
            for view, one in enumerate(views, start=segment * len(views)):
                values[view] = one.values
        return values

    def _open_all(self) -> Iterator[Stack]:
        """Yield the stacks of the samples, closed, each compared with the first."""
        if not self.samples:
            raise SplitError("no videos to read clips from; check the summary of the split")
        first: Stack | None = None
        for sample in self.samples:
            stack = closed_stack(sample.path)
            first = first or stack
            self._check(stack, first)
            yield stack

    def _check(self, stack: Stack, first: Stack) -> None:
        if not stack.header.has_flow_of(first.header):
            differences = stack.spec.list_differences(first.spec, names=("this", "first"))
            raise StackError(
                f"{stack.path}: made with other settings than {first.path}: "
                f"{'; '.join(differences)}; extract all videos with the same settings "
                "(--size gives videos of different shape one size)"
            )
        if self.window.short == "refuse" and stack.num_fields < self.window.span:
            raise StackError(
                f"{stack.path}: got {stack.num_fields} fields, expected at least "
                f"{self.window.span} for a clip; leave the video out or set short = 'loop'"
            )
        for one in self.inputs.values():
            one.check_stack(stack)

    def _generator(self, index: int, purpose: int) -> np.random.Generator:
        epoch = self.epoch if self.training else 0
        return np.random.default_rng((self.seed, epoch, index, purpose))
