"""Clips of stacks, for a DataLoader or any loop: labelled, transformed numpy arrays.

`RgbClips` and `FlowClips` with the same samples, window and seed take the same moments of the same
videos; with transforms of the same random steps they also take the same crops and flips.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowstream.dataset.clip import Clip, Kind
from flowstream.dataset.split import Sample
from flowstream.dataset.stacking import STACKINGS
from flowstream.dataset.transforms import Step, apply
from flowstream.dataset.window import Window, looped
from flowstream.errors import SplitError, StackError
from flowstream.store import FlowSpec, Stack, open_stack

# Which of an item's random streams: one for moments, one for transforms.
_MOMENT, _TRANSFORM = 0, 1


class Item(NamedTuple):
    """What a data set gives for an index; batches by torch's default collation.

    `values` is float32: `(C, T, H, W)` for training on one segment, else `(V, C, T, H, W)`, the
    views of one video, segment by segment and crop by crop in each. `label` and `sample`, its
    index, are those of the video.
    """

    values: NDArray[np.float32]
    label: int
    sample: int


class StackClips(ABC):
    """Clips cut from the stacks of samples; one item a sample.

    An item depends on seed, epoch and index only, so neither on the number of workers nor on what
    was read before. Every stack is opened once at the start, to check it, then for each item: the
    data set holds no file open, and can be sent to workers, forked or spawned.

    Parameters
    ----------
    samples : sequence of Sample
    window : Window
    transform : tuple of steps
        Of `train_transform`, `test_transform` or your own.
    training : bool
        Moments drawn at random, anew in each epoch; otherwise evenly spaced, always the same.
    seed : int

    Raises
    ------
    SplitError
        If there are no samples.
    StackError
        If a stack cannot be read, or they were not all made with the same settings: the message
        says which file differs and in what.
    ShapeError
        If the transform does not fit the stacks' size.
    """

    kind: ClassVar[Kind]

    def __init__(
        self,
        samples: Sequence[Sample],
        window: Window,
        transform: tuple[Step, ...],
        *,
        training: bool,
        seed: int = 0,
    ) -> None:
        self.samples = tuple(samples)
        self.window = window
        self.transform = transform
        self.training = training
        self.seed = seed
        self.epoch = 0
        self._stacks = tuple(self._opened())
        self.spec: FlowSpec = self._stacks[0].spec
        # Once with an empty clip, so that what does not fit fails here and not amid an epoch.
        views = apply(transform, self._blank(), np.random.default_rng(seed))
        self._view_shape: tuple[int, ...] = views[0].values.shape
        self._views_per_segment = len(views)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self.samples):
            raise IndexError(f"got index {index} of {len(self.samples)} samples")
        label = self.samples[index].label
        moments = self._generator(index, _MOMENT) if self.training else None
        with self._stacks[index] as stack:
            starts = self.window.starts(stack.num_fields, moments)
            values = np.empty((self.views, *self.shape), np.float32)
            for segment, start in enumerate(starts):
                # The same generator again: all segments of a video get one crop and flip.
                generator = self._generator(index, _TRANSFORM)
                views = apply(self.transform, self._read(stack, start), generator)
                for view, clip in enumerate(views, start=segment * len(views)):
                    values[view] = clip.values
        single = self.training and self.views == 1
        return Item(values[0] if single else values, label, index)

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def set_epoch(self, epoch: int) -> None:
        """Draw other moments, crops and flips from now on: those of that epoch.

        Call it before the workers of an epoch start; persistent workers would not hear of it.
        """
        self.epoch = epoch

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of a clip, as a model gets it."""
        channels, frames, rows, columns = self._view_shape
        return channels, frames, rows, columns

    @property
    def views(self) -> int:
        """V, how many clips of a video an item has."""
        return self.window.segments * self._views_per_segment

    @abstractmethod
    def _read(self, stack: Stack, start: int) -> Clip:
        """The clip whose window starts at field `start`."""

    @abstractmethod
    def _blank(self) -> Clip:
        """A clip of zeros, as `_read` would return it."""

    @abstractmethod
    def _check(self, stack: Stack) -> None:
        """Refuse a stack that lacks what `_read` needs."""

    def _opened(self) -> Iterator[Stack]:
        """The samples' stacks, checked against the first and closed: what they say stays known."""
        if not self.samples:
            raise SplitError("no videos to take clips from; look at the split's summary")
        first: Stack | None = None
        for sample in self.samples:
            with open_stack(sample.path) as stack:
                first = first or stack
                differences = stack.spec.differences(first.spec)
                if differences:
                    raise StackError(
                        f"{stack.path}: made with other settings than {first.path}: "
                        f"{'; '.join(differences)}; extract all videos with the same settings "
                        "(--size gives videos of different shape one size)"
                    )
                self._check(stack)
            yield stack

    def _generator(self, index: int, purpose: int) -> np.random.Generator:
        epoch = self.epoch if self.training else 0
        return np.random.default_rng((self.seed, epoch, index, purpose))


class FlowClips(StackClips):
    """Windows of L flow fields: clips of C = 2 and T = L.

    Parameters
    ----------
    samples, window, transform, training, seed
        See `StackClips`.
    stacking : str
        A key of `STACKINGS`: "flow" takes the fields as they are, "trajectory" follows the first
        frame's pixels through them, "bidirectional" takes half of them back from the middle frame.

    Raises
    ------
    UnknownNameError
        If `stacking` is unknown.
    ParameterError
        If the window has an odd number of fields, which cannot be halved.
    """

    kind = "flow"

    def __init__(
        self,
        samples: Sequence[Sample],
        window: Window,
        transform: tuple[Step, ...],
        *,
        training: bool,
        seed: int = 0,
        stacking: str = "flow",
    ) -> None:
        self.stacking = stacking
        STACKINGS[stacking].check_window(window)
        super().__init__(samples, window, transform, training=training, seed=seed)

    def _read(self, stack: Stack, start: int) -> Clip:
        fields = STACKINGS[self.stacking].read(stack, self.window, start)
        return Clip(self.kind, fields.swapaxes(0, 1))

    def _check(self, stack: Stack) -> None:
        STACKINGS[self.stacking].check_stack(stack)

    def _blank(self) -> Clip:
        return Clip(self.kind, np.zeros((2, self.window.length, *self.spec.size), np.float32))


class RgbClips(StackClips):
    """RGB frames from the middle of the same windows: clips of C = 3 and T = `frames`.

    Parameters
    ----------
    samples, window, transform, training, seed
        See `StackClips`.
    frames : int
        T. 1, for a spatial stream, is the middle frame of the window; L, for 3D models, are the
        frames that the window's fields start from.
    """

    kind = "rgb"

    def __init__(
        self,
        samples: Sequence[Sample],
        window: Window,
        transform: tuple[Step, ...],
        *,
        training: bool,
        seed: int = 0,
        frames: int = 1,
    ) -> None:
        self.frames = frames
        self._offset = window.frame_offset(frames)
        super().__init__(samples, window, transform, training=training, seed=seed)

    def _read(self, stack: Stack, start: int) -> Clip:
        first, step = start + self._offset, self.window.step
        indices = first + step * np.arange(self.frames)
        if self.window.span > stack.num_fields:
            indices = looped(first, self.frames, step=step, num_fields=stack.num_fields)
        images = np.stack([stack.rgb(int(index)) for index in indices])
        return Clip(self.kind, np.moveaxis(images, 3, 0))

    def _check(self, stack: Stack) -> None:
        if not stack.has_rgb:
            raise StackError(f"{stack.path}: no RGB frames in it; extract with --rgb")

    def _blank(self) -> Clip:
        return Clip(self.kind, np.zeros((3, self.frames, *self.spec.size), np.uint8))
