"""How much memory a training step takes, before it is tried."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from flowstream.errors import ParameterError
from flowstream.models.describe import blank_inputs, shadow
from flowstream.models.model import ClipShape, Model

# Values of a trained parameter's size that an optimiser keeps: momentum; both moments of Adam.
_KEPT = {"sgd": 1, "adamw": 2}


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training step in float32.

    The step holds the most at the beginning of its backward pass, when all activations are there;
    as they are used up, gradients take their place. Half precision about halves the activations.
    What the libraries need for themselves (workspace, CUDA's own half gigabyte) comes on top.
    """

    raw_video: int
    """The batch's clips as they are stored, a byte a value."""
    clips: int
    """The same as the network's input."""
    activations: int
    """All that autograd keeps from the forward pass for the backward one, each tensor once."""
    parameters: int
    """With the norms' statistics."""
    gradients: int
    optimiser: int
    """SGD keeps a momentum, AdamW two moments, for each trained parameter."""

    @property
    def total(self) -> int:
        """All but the raw video, which may stay where it is."""
        parts: dict[str, int] = asdict(self)
        return sum(parts.values()) - self.raw_video


def training_memory(
    model: Model,
    clip: ClipShape,
    classes: int,
    *,
    batch: int,
    optimiser: Literal["sgd", "adamw"] = "sgd",
) -> TrainingMemory:
    """Estimate the memory of a training step on a batch, without computing it.

    Raises
    ------
    ParameterError
        If the batch is too small: below one, or a norm would see a single value.
    """
    if batch < 1:
        raise ParameterError(f"batch: got {batch}, expected at least 1")
    network = shadow(model, clip, classes).train()
    inputs = blank_inputs(model, clip, batch=batch)
    try:
        activations = saved_bytes(network, inputs)
    except ValueError as error:  # of a batch norm
        raise ParameterError(f"batch: got {batch}: {error}; take more clips at once") from error
    values = sum(math.prod(shape.lengths) for shape in model.inputs(clip)) * batch
    trained = sum(_bytes(part) for part in network.parameters() if part.requires_grad)
    return TrainingMemory(
        raw_video=values,
        clips=sum(map(_bytes, inputs)),
        activations=activations,
        parameters=sum(map(_bytes, [*network.parameters(), *network.buffers()])),
        gradients=trained,
        optimiser=_KEPT[optimiser] * trained,
    )


def saved_bytes(network: nn.Module, inputs: list[Tensor]) -> int:
    """Bytes that autograd keeps of a forward pass and its loss, on any device.

    Each storage counts once; parameters, statistics and inputs, which are there anyway, do not.
    """
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage  # held, so that no other gets its address
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = network(*inputs)
        labels = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        loss = nn.functional.cross_entropy(scores, labels)
    for tensor in [*network.parameters(), *network.buffers(), *inputs]:
        storages.pop(tensor.untyped_storage()._cdata, None)
    del loss
    return sum(storage.nbytes() for storage in storages.values())


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
