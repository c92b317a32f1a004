"""A network layer by layer: sizes, receptive fields, parameters and operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flowstream.models.inspect.bounds import (
    MAX_BYTES,
    MAX_FLOPS,
    estimate_bytes,
    refuse_costly,
    refuse_huge_tensors,
)
from flowstream.models.inspect.operations import operation
from flowstream.models.inspect.receptive_field import (
    Extent,
    receptive_fields,
    slivers,
    spoilt_clips,
)
from flowstream.models.inspect.trace import Key, Use, run
from flowstream.models.model import Classifier, ClipShape, Model


@dataclass(frozen=True)
class Layer:
    """One row: what a part of a network makes of one clip."""

    name: str
    """As in `named_modules`; empty is the whole network."""
    operation: str
    size: tuple[int, ...]
    """(C, T, H, W), without axes that it does not have; tokens are places."""
    receptive_field: Extent | None
    """(T, H, W), of a unit away from the clip's borders; None where it was not asked for."""
    parameters: int
    """Of its own, counted at its first use."""
    flops: int
    """Two for each multiplication and addition of convolutions, matrix products and attention."""


@dataclass(frozen=True)
class Description:
    """What `describe` finds."""

    model: str
    inputs: tuple[ClipShape, ...]
    classes: int
    layers: tuple[Layer, ...]
    """In order of execution; the last is the whole network."""
    trained: int
    """Parameters that training changes."""

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Of all layers, for one clip."""
        return sum(layer.flops for layer in self.layers)


@refuse_huge_tensors()
def describe(
    model: Model,
    clip: ClipShape,
    classes: int,
    *,
    receptive_field: bool = True,
    progress: Callable[[int], object] = lambda clips: None,
) -> Description:
    """Trace a model's network on one clip, in evaluation mode.

    Sizes, parameters and operations need no computing; receptive fields do: see
    `receptive_field.receptive_fields`, which says what `progress` is told.

    Raises
    ------
    ShapeError
        If the model cannot take clips as small as that.
    ParameterError
        If torch cannot count sizes as large as these, or receptive fields would take too long or
        too much memory.
    """
    network = shadow(model, clip, classes).eval()
    inputs = blank_inputs(model, clip, batch=1)
    uses = run(network, inputs)
    fields: dict[Key, Extent] = {}
    if receptive_field:
        flops = sum(use.flops for use in uses)
        _refuse_costly_fields(model, clip, flops, estimate_bytes(network, inputs, uses))
        fields = receptive_fields(model, clip, [use.key for use in uses], progress=progress)
    counted: set[int] = set()
    layers = tuple(
        Layer(
            name=use.key.name,
            operation=operation(use.module) + (f", {use.times} times" if use.times > 1 else ""),
            size=tuple(use.output.shape[1:]),
            receptive_field=fields.get(use.key),
            parameters=_new_parameters(use, counted),
            flops=use.flops,
        )
        for use in uses
    )
    trained = sum(part.numel() for part in network.parameters() if part.requires_grad)
    return Description(model.name, model.inputs(clip), classes, layers, trained)


def _refuse_costly_fields(model: Model, clip: ClipShape, flops: float, memory: float) -> None:
    """Raise `ParameterError` if receptive fields need too much time or memory.

    The cost of the whole clip (`flops`, `memory`) is an upper bound. Receptive fields are computed
    on clips that are minimal along two of three axes; these are traced only if the bound fails.
    """
    if flops * spoilt_clips(model, clip) <= MAX_FLOPS and memory <= MAX_BYTES:
        return
    flops = memory = 0.0
    for sliver, count in slivers(model, clip):
        network = shadow(model, sliver, 2).eval()
        inputs = blank_inputs(model, sliver, batch=1)
        uses = run(network, inputs)
        flops += count * sum(use.flops for use in uses)
        memory = max(memory, estimate_bytes(network, inputs, uses))
        refuse_costly(flops, memory)  # at once, because tracing recurrent networks is slow


def shadow(model: Model, clip: ClipShape, classes: int) -> Classifier:
    """The network on torch's "meta" device: shapes without values, at next to no cost."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return model.build(clip, classes, blank=True)
        except NotImplementedError:
            # RegNet computes its widths with tensors, which need values.
            return model.build(clip, classes, blank=True).to("meta")


def blank_inputs(model: Model, clip: ClipShape, *, batch: int) -> list[Tensor]:
    """What the network of `shadow` takes."""
    shapes = model.inputs(clip)
    return [torch.empty(batch, *shape.lengths, device="meta") for shape in shapes]


def _new_parameters(use: Use, counted: set[int]) -> int:
    """How many parameters of a part were not counted before; `counted` learns of them."""
    # What used no other part may still read its parts' parameters, as torch's attention does.
    own: list[nn.Parameter] = list(use.module.parameters(recurse=use.whole))
    new = {id(part): part.numel() for part in own if id(part) not in counted}
    counted.update(new)
    return sum(new.values())
