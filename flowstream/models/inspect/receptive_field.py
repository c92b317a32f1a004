"""How much of a clip each part of a network looks at, found by spoiling the clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flowstream.models.inspect.bounds import BATCH
from flowstream.models.inspect.trace import Key, Use, watched
from flowstream.models.model import Classifier, ClipShape, Model

Extent = tuple[int, int, int]
"""Frames, rows and columns, from the first that matters to the last."""

DTYPE = torch.float32


class _EnoughError(Exception):
    """Ends a run whose later parts are known already."""


def receptive_fields(
    model: Model,
    clip: ClipShape,
    keys: Sequence[Key],
    *,
    progress: Callable[[int], object] = lambda steps: None,
) -> dict[Key, Extent]:
    """How much of a clip a unit of each of a network's parts depends on, away from the borders.

    One slice of the clip after the other is made NaN, which operations pass on to exactly what
    depends on it, whatever the weights; `Model.spoilt_apart` sees to the exceptions. (NNPACK is
    switched off meanwhile: it convolves by transforms, which spread NaN. oneDNN, as torch calls it,
    sums products.) Of a part's units the one that depends on most counts, which the clip's borders
    do not cut.

    Frames are looked for in clips as small as the model takes, rows in as narrow and columns in as
    low ones: what a unit sees along one side of the image does not depend on the other's length.

    Parameters
    ----------
    model : Model
    clip : ClipShape
    keys : sequence of Key
        The parts, of `trace.run`.
    progress : function of an int
        Told how many clips more are done, of `spoilt_clips(model, clip)`.

    Returns
    -------
    mapping from Key to (frames, rows, columns)
        0 where nothing of the clip matters.
    """
    along: list[dict[Key, int]] = []
    for axis, (sliver, _) in enumerate(slivers(model, clip)):
        shapes = model.inputs(sliver)
        with torch.random.fork_rng(devices=[]):
            network = model.spoilt_apart(model.build(sliver, 2, blank=True)).to(DTYPE).eval()
        extents = dict.fromkeys(keys, 0)
        for spoiling in _spoilings(shapes, axis):
            for key, span in _spans(network, spoiling, keys, progress=progress).items():
                extents[key] = max(extents[key], span.extent)
        along.append(extents)
    return {key: (along[0][key], along[1][key], along[2][key]) for key in keys}


def spoilt_clips(model: Model, clip: ClipShape) -> int:
    """How many clips `receptive_fields` runs the network on."""
    return sum(shape.frames for shape in model.inputs(clip)) + clip.rows + clip.columns


def slivers(model: Model, clip: ClipShape) -> tuple[tuple[ClipShape, int], ...]:
    """Clips that frames, rows and columns are looked for in, and how many are spoilt of each."""
    _, rows, columns = model.smallest
    frames = sum(shape.frames for shape in model.inputs(clip))
    return (
        (replace(clip, rows=rows, columns=columns), frames),
        (replace(clip, columns=columns), clip.rows),
        (replace(clip, rows=rows), clip.columns),
    )


@dataclass(frozen=True)
class _Spoiling:
    """Which inputs are spoilt, along which axis of (N, C, T, H, W)."""

    shapes: tuple[ClipShape, ...]
    spoilt: tuple[bool, ...]
    axis: int

    @property
    def length(self) -> int:
        """Slices to spoil."""
        return self.shapes[self.spoilt.index(True)].lengths[self.axis - 1]

    def inputs(self, positions: Sequence[int]) -> list[Tensor]:
        """Clips of zeros, in each of which one slice is NaN."""
        made = []
        for shape, spoilt in zip(self.shapes, self.spoilt, strict=True):
            clips = torch.zeros(len(positions), *shape.lengths, dtype=DTYPE)
            for index, position in enumerate(positions):
                if spoilt:
                    clips[index].select(self.axis - 1, position).fill_(torch.nan)
            made.append(clips)
        return made


def _spoilings(shapes: tuple[ClipShape, ...], axis: int) -> list[_Spoiling]:
    """Inputs differ in frames, which are spoilt by themselves, and agree in rows and columns."""
    if axis > 0:
        return [_Spoiling(shapes, (True,) * len(shapes), axis + 2)]
    return [
        _Spoiling(shapes, tuple(index == own for index in range(len(shapes))), 2)
        for own in range(len(shapes))
    ]


@dataclass
class _Span:
    """The first and last slice that each unit of a part depends on."""

    first: Tensor | None = None
    last: Tensor | None = None

    def note(self, position: int, spoilt: Tensor) -> None:
        """Take in which units a slice has spoilt."""
        if self.first is None or self.last is None:
            self.first = torch.full(spoilt.shape, torch.iinfo(torch.int32).max, dtype=torch.int32)
            self.last = torch.full_like(self.first, -1)
        self.first[spoilt] = self.first[spoilt].clamp(max=position)
        self.last[spoilt] = self.last[spoilt].clamp(min=position)

    @property
    def extent(self) -> int:
        """Of the unit that depends on most."""
        if self.first is None or self.last is None or int(self.last.max()) < 0:
            return 0
        seen = self.last >= 0
        return int((self.last[seen] - self.first[seen]).max()) + 1


def _spans(
    network: Classifier,
    spoiling: _Spoiling,
    keys: Sequence[Key],
    *,
    progress: Callable[[int], object],
) -> dict[Key, _Span]:
    """What the units of each part depend on.

    Where one depends on both ends of the clip, a part needs no more runs, and a run ends where
    nothing is left to learn: much of a deep network is run on the ends only.
    """
    between = range(1, spoiling.length - 1)
    spans = {key: _Span() for key in keys}
    wanted = set(keys)
    ends = sorted({0, spoiling.length - 1})
    for positions in [ends, *(between[i : i + BATCH] for i in range(0, len(between), BATCH))]:
        if wanted:
            for key, spoilt in _spoilt_parts(network, spoiling.inputs(positions), wanted).items():
                for position, units in zip(positions, spoilt, strict=True):
                    spans[key].note(position, units)
            wanted = {key for key in wanted if spans[key].extent < spoiling.length}
        progress(len(positions))
    return spans


def _spoilt_parts(
    network: Classifier, inputs: Sequence[Tensor], wanted: set[Key]
) -> dict[Key, Tensor]:
    """For each wanted part, the units that are NaN: (n, positions ...)."""
    found: dict[Key, Tensor] = {}

    def look(use: Use) -> None:
        if use.key in wanted:
            # a part that is used several times in a row is looked at the last time
            found[use.key] = use.output.amax(dim=1).isnan()  # amax passes NaN on
        elif len(found) == len(wanted):
            raise _EnoughError

    try:
        with (
            torch.no_grad(),
            torch.backends.nnpack.flags(enabled=False),
            watched(network, len(inputs[0]), look, count_flops=False),
        ):
            network(*inputs)
    except _EnoughError:
        pass
    return found
