"""Description of a network per layer: sizes, receptive fields, parameters, operations."""

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
from flowstream.models.inspect.operations import describe_operation
from flowstream.models.inspect.receptive_field import (
    Extent,
    count_probe_clips,
    make_probe_shapes,
    receptive_fields,
)
from flowstream.models.inspect.trace import Key, Use, trace_network
from flowstream.models.model import Classifier, ClipShape, Model


@dataclass(frozen=True)
class Layer:
    """One row of a description: a part of a network and its output for one clip."""

    name: str
    """Name from `named_modules`; empty for the whole network."""
    operation: str
    size: tuple[int, ...]
    """Shape (C, T, H, W) of the output, without missing axes; tokens count as positions."""
    receptive_field: Extent | None
    """Size (T, H, W) for a unit far from the clip's borders; None if not requested."""
    parameters: int
    """Number of own parameters, counted at the first use."""
    flops: int
    """FLOPs of convolutions, matrix products and attention; a multiply-add counts as two."""


@dataclass(frozen=True)
class Description:
    """Result of `describe`."""

    model: str
    inputs: tuple[ClipShape, ...]
    classes: int
    layers: tuple[Layer, ...]
    """Parts in order of execution; the last is the whole network."""
    trained: int
    """Number of parameters that training changes."""

    @property
    def parameters(self) -> int:
        """Number of parameters of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def flops(self) -> int:
        """Number of FLOPs of all layers, for one clip."""
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
    """Trace the network of a model on one clip, in evaluation mode.

    Sizes, parameters and operations are found without computing values. Receptive fields require
    computation; `receptive_field.receptive_fields` documents this and `progress`.

    Raises
    ------
    ShapeError
        If the clips are too small for the model.
    ParameterError
        If tensors are too large for torch, or if receptive fields need too much time or memory.
    """
    network = build_on_meta(model, clip, classes).eval()
    inputs = make_meta_inputs(model, clip, batch=1)
    uses = trace_network(network, inputs)
    fields: dict[Key, Extent] = {}
    if receptive_field:
        flops = sum(use.flops for use in uses)
        _refuse_costly_fields(
            model, clip, flops=flops, memory=estimate_bytes(network, inputs, uses)
        )
        fields = receptive_fields(model, clip, [use.key for use in uses], progress=progress)
    counted: set[int] = set()
    layers = tuple(
        Layer(
            name=use.key.name,
            operation=describe_operation(use.module)
            + (f", {use.times} times" if use.times > 1 else ""),
            size=tuple(use.output.shape[1:]),
            receptive_field=fields.get(use.key),
            parameters=_new_parameters(use, counted),
            flops=use.flops,
        )
        for use in uses
    )
    trained = sum(part.numel() for part in network.parameters() if part.requires_grad)
    return Description(model.name, model.inputs(clip), classes, layers, trained)


def _refuse_costly_fields(model: Model, clip: ClipShape, *, flops: float, memory: float) -> None:
    """Raise `ParameterError` if receptive fields need too much time or memory.

    The cost of the whole clip (`flops`, `memory`) is an upper bound. Receptive fields are computed
    on clips that are minimal along two of three axes; these are traced only if the bound fails.
    """
    if flops * count_probe_clips(model, clip) <= MAX_FLOPS and memory <= MAX_BYTES:
        return
    flops = memory = 0.0
    for shape, count in make_probe_shapes(model, clip):
        network = build_on_meta(model, shape, 2).eval()
        inputs = make_meta_inputs(model, shape, batch=1)
        uses = trace_network(network, inputs)
        flops += count * sum(use.flops for use in uses)
        memory = max(memory, estimate_bytes(network, inputs, uses))
        refuse_costly(flops, memory)  # at once, because tracing recurrent networks is slow


def build_on_meta(model: Model, clip: ClipShape, classes: int) -> Classifier:
    """Build a network on torch's "meta" device, which has shapes but no values."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return model.build(clip, classes, blank=True)
        except NotImplementedError:
            # RegNet computes its widths with tensors, which must have values.
            return model.build(clip, classes, blank=True).to("meta")


def make_meta_inputs(model: Model, clip: ClipShape, *, batch: int) -> list[Tensor]:
    """Return inputs on the "meta" device for a network of `build_on_meta`."""
    shapes = model.inputs(clip)
    return [torch.empty(batch, *shape.lengths, device="meta") for shape in shapes]


def _new_parameters(use: Use, counted: set[int]) -> int:
    """Return the number of parameters not in `counted`, and add them to it."""
    # A part that calls no other may still read their parameters, as torch's attention does.
    own: list[nn.Parameter] = list(use.module.parameters(recurse=use.whole))
    new = {id(part): part.numel() for part in own if id(part) not in counted}
    counted.update(new)
    return sum(new.values())
