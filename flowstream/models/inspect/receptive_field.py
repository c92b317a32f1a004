"""Receptive fields of the parts of a network, measured by propagation of NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flowstream.models.inspect.bounds import BATCH
from flowstream.models.inspect.trace import Key, Use, report_uses
from flowstream.models.model import Classifier, ClipShape, Model

Extent = tuple[int, int, int]
"""Number of frames, rows and columns, from the first that matters to the last."""

DTYPE = torch.float32


class _EnoughError(Exception):
    """End of a run whose later parts are already known."""


def receptive_fields(
    model: Model,
    clip: ClipShape,
    keys: Sequence[Key],
    *,
    progress: Callable[[int], object] = lambda steps: None,
) -> dict[Key, Extent]:
    """Measure the receptive field of a unit of each part, far from the borders.

    One slice of the clip after the other is set to NaN. Operations propagate NaN to exactly those
    values that depend on it, whatever the weights; `Model.prepare_for_receptive_field` handles the
    exceptions. NNPACK is disabled, because it convolves by transforms, which spread NaN. The unit
    of a part with the largest receptive field counts, because the borders cut those of others.

    Frames are measured with clips of the smallest valid size, rows with the smallest number of
    columns and columns with the smallest number of rows, because the extent along one axis does
    not depend on the length of the others.

    Parameters
    ----------
    model : Model
    clip : ClipShape
    keys : sequence of Key
        Parts, from `trace.trace_network`.
    progress : function of an int
        Called with the number of clips that have been processed since the last call; the total is
        `count_probe_clips(model, clip)`.

    Returns
    -------
    mapping from Key to (frames, rows, columns)
        0 for a part that does not depend on the clip.
    """
    along: list[dict[Key, int]] = []
    for axis, (shape, _) in enumerate(make_probe_shapes(model, clip)):
        shapes = model.inputs(shape)
        with torch.random.fork_rng(devices=[]):
            network = (
                model.prepare_for_receptive_field(model.build(shape, 2, blank=True))
                .to(DTYPE)
                .eval()
            )
        extents = dict.fromkeys(keys, 0)
        for probe in _make_probes(shapes, axis):
            for key, span in _spans(network, probe, keys, progress=progress).items():
                extents[key] = max(extents[key], span.extent)
        along.append(extents)
    return {key: (along[0][key], along[1][key], along[2][key]) for key in keys}


def count_probe_clips(model: Model, clip: ClipShape) -> int:
    """Return the number of clips on which `receptive_fields` runs the network."""
    return sum(shape.frames for shape in model.inputs(clip)) + clip.rows + clip.columns


def make_probe_shapes(model: Model, clip: ClipShape) -> tuple[tuple[ClipShape, int], ...]:
    """Return a shape for each of frames, rows and columns, and its number of slices."""
    _, rows, columns = model.min_clip
    frames = sum(shape.frames for shape in model.inputs(clip))
    return (
        (replace(clip, rows=rows, columns=columns), frames),
        (replace(clip, columns=columns), clip.rows),
        (replace(clip, rows=rows), clip.columns),
    )


@dataclass(frozen=True)
class _Probe:
    """Inputs that get NaN slices, and the axis of (N, C, T, H, W) of these slices."""

    shapes: tuple[ClipShape, ...]
    affected: tuple[bool, ...]
    axis: int

    @property
    def length(self) -> int:
        """Number of slices along the axis."""
        return self.shapes[self.affected.index(True)].lengths[self.axis - 1]

    def inputs(self, positions: Sequence[int]) -> list[Tensor]:
        """Return clips of zeros, each with one NaN slice."""
        made = []
        for shape, affected in zip(self.shapes, self.affected, strict=True):
            clips = torch.zeros(len(positions), *shape.lengths, dtype=DTYPE)
            for index, position in enumerate(positions):
                if affected:
                    clips[index].select(self.axis - 1, position).fill_(torch.nan)
            made.append(clips)
        return made


def _make_probes(shapes: tuple[ClipShape, ...], axis: int) -> list[_Probe]:
    """Return the probes of an axis: frames per input, rows and columns of all inputs."""
    if axis > 0:
        return [_Probe(shapes, (True,) * len(shapes), axis + 2)]
    return [
        _Probe(shapes, tuple(index == own for index in range(len(shapes))), 2)
        for own in range(len(shapes))
    ]


@dataclass
class _Span:
    """First and last slice that each unit of a part depends on."""

    first: Tensor | None = None
    last: Tensor | None = None

    def record(self, position: int, affected: Tensor) -> None:
        """Record the units that depend on a slice."""
        if self.first is None or self.last is None:
            self.first = torch.full(affected.shape, torch.iinfo(torch.int32).max, dtype=torch.int32)
            self.last = torch.full_like(self.first, -1)
        self.first[affected] = self.first[affected].clamp(max=position)
        self.last[affected] = self.last[affected].clamp(min=position)

    @property
    def extent(self) -> int:
        """Largest extent of all units."""
        if self.first is None or self.last is None or int(self.last.max()) < 0:
            return 0
        seen = self.last >= 0
        return int((self.last[seen] - self.first[seen]).max()) + 1


def _spans(
    network: Classifier,
    probe: _Probe,
    keys: Sequence[Key],
    *,
    progress: Callable[[int], object],
) -> dict[Key, _Span]:
    """Measure the span of slices that the units of each part depend on.

    A part with a unit that depends on both ends of the clip needs no more runs. A run ends after
    the last part that needs it, so that most of a deep network runs on the ends only.
    """
    between = range(1, probe.length - 1)
    spans = {key: _Span() for key in keys}
    wanted = set(keys)
    ends = sorted({0, probe.length - 1})
    for positions in [ends, *(between[i : i + BATCH] for i in range(0, len(between), BATCH))]:
        if wanted:
            for key, affected in _find_affected(network, probe.inputs(positions), wanted).items():
                for position, units in zip(positions, affected, strict=True):
                    spans[key].record(position, units)
            wanted = {key for key in wanted if spans[key].extent < probe.length}
        progress(len(positions))
    return spans


def _find_affected(
    network: Classifier, inputs: Sequence[Tensor], wanted: set[Key]
) -> dict[Key, Tensor]:
    """Return the NaN units, (n, positions ...), of each wanted part."""
    found: dict[Key, Tensor] = {}

    def inspect(use: Use) -> None:
        if use.key in wanted:
            # of several uses in a row the last counts
            found[use.key] = use.output.amax(dim=1).isnan()  # amax passes NaN on
        elif len(found) == len(wanted):
            raise _EnoughError

    try:
        with (
            torch.no_grad(),
            torch.backends.nnpack.flags(enabled=False),
            report_uses(network, len(inputs[0]), inspect, count_flops=False),
        ):
            network(*inputs)
    except _EnoughError:
        pass
    return found
