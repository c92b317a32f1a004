"""How much memory a training step takes, before it is tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from flowstream.errors import ParameterError
from flowstream.models.describe import shadow
from flowstream.models.model import ClipShape, Model

# Values of a trained parameter's size that an optimiser keeps: momentum; both moments of Adam.
_KEPT = {"sgd": 1, "adamw": 2}


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training step in float32.

    The step holds the most where its backward pass reaches the largest layer, and nearly all
    activations are there still. Half precision about halves the activations. What the libraries
    need for themselves (workspace, CUDA's own half gigabyte) comes on top: on a CPU, two steps made
    the process grow by 0.97 (slow_fusion) to 1.3 (r3d_18) times the total.
    """

    raw_video: int
    """The batch's clips as they are stored, a byte a value."""
    clips: int
    """The same as the network's input."""
    activations: int
    """All that autograd keeps from the forward pass for the backward one, each tensor once."""
    backward: int
    """Gradients of activations on their way through the largest layer: of its output and input."""
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
    shapes = [(batch, *shape.lengths) for shape in model.inputs(clip)]
    try:
        # Unlike "meta" ones, fake tensors of a CPU take its ways, which differ in what they keep:
        # fused attention does without the matrix of its weights.
        with FakeTensorMode():
            state = {name: _like(value) for name, value in _state(network).items()}
            inputs = [torch.empty(shape) for shape in shapes]
            kept = saved_sizes(network, inputs, state=state)
    except ValueError as error:  # of a batch norm
        raise ParameterError(f"batch: got {batch}: {error}; take more clips at once") from error
    values = sum(map(math.prod, shapes))
    trained = sum(_bytes(part) for part in network.parameters() if part.requires_grad)
    return TrainingMemory(
        raw_video=values,
        clips=values * torch.float32.itemsize,
        activations=sum(kept),
        backward=2 * max(kept),
        parameters=sum(map(_bytes, _state(network).values())),
        gradients=trained,
        optimiser=_KEPT[optimiser] * trained,
    )


def saved_sizes(
    network: nn.Module, inputs: Sequence[Tensor], *, state: dict[str, Tensor] | None = None
) -> list[int]:
    """Bytes of each storage that autograd keeps of a forward pass and its loss.

    Parameters, statistics and inputs, which are there anyway, are left out.

    Parameters
    ----------
    network : torch.nn.Module
    inputs : sequence of Tensor
    state : mapping from name to Tensor, or None
        What takes the place of its parameters and buffers; None are its own.
    """
    state = _state(network) if state is None else state
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage  # held, so that no other gets its address
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = functional_call(network, state, tuple(inputs))
        labels = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        loss = nn.functional.cross_entropy(scores, labels)
    for tensor in [*state.values(), *inputs]:
        storages.pop(tensor.untyped_storage()._cdata, None)
    del loss
    return [storage.nbytes() for storage in storages.values()]


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _like(value: Tensor) -> Tensor:
    """A tensor on the CPU of the same shape, strides and type."""
    made = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")
    return made.requires_grad_(value.requires_grad)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
