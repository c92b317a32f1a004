"""How much memory a training step takes, before it is tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from flowstream.errors import ParameterError
from flowstream.models.inspect.bounds import refuse_huge_tensors
from flowstream.models.inspect.describe import shadow
from flowstream.models.inspect.live_bytes import LiveBytes
from flowstream.models.model import ClipShape, Model

# Values of a trained parameter's size that an optimiser keeps: momentum; both moments of Adam.
_KEPT = {"sgd": 1, "adamw": 2}

# Values of a parameter's size that it makes on the way, at most. SGD: the gradient with the decay,
# and with Nesterov's momentum too; AdamW: the second moment's root, the same corrected, and what is
# left of the parameter before.
_PASSING = {"sgd": 2, "adamw": 3}


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training step in float32.

    The total is the most that tensors take at once: in the forward or backward pass, or in the
    optimiser's step. It may be less than the sum of the parts, for gradients of parameters come as
    activations go. Half precision about halves the activations. On CUDA the optimisers' passing
    values are of all parameters at once, where a CPU takes one parameter after the other.

    What the libraries need for themselves (workspace, CUDA's own half gigabyte) comes on top. On a
    CPU, two steps on 8 clips of 3 x 16 x 64 x 64 made the process grow by 1.01 (recurrent_conv) to
    1.36 (early_fusion) times the total, or by 5 to 61 MB more, with either optimiser; on 16 clips
    of 112 x 112, with SGD, six models by 1.01 to 1.04 times. Most of it at early_fusion is oneDNN's
    workspace within the backward pass of a convolution, of which no shape tells: without oneDNN
    it was 1.07 times. That is with an allocator that gives back what is freed
    (MALLOC_MMAP_THRESHOLD_=65536); glibc's own keeps pieces, and recurrent_conv grew by 1.54 times.
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
    """Of the trained parameters."""
    optimiser: int
    """SGD keeps a momentum, AdamW two moments, for each trained parameter."""
    total: int
    """The most that is there at once, but for the raw video, which may stay where it is."""

    @property
    def temporary(self) -> int:
        """What the total needs beyond the parts: gradients of activations, passing values."""
        kept = self.clips + self.activations + self.parameters + self.gradients + self.optimiser
        return max(0, self.total - kept)


@refuse_huge_tensors()
def training_memory(
    model: Model,
    clip: ClipShape,
    classes: int,
    *,
    batch: int,
    optimiser: Literal["sgd", "adamw"] = "sgd",
) -> TrainingMemory:
    """Foretell the memory of a training step on a batch, without computing it.

    Raises
    ------
    ParameterError
        If the batch is too small: below one, or a norm would see a single value; or torch cannot
        count sizes as large as these.
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
            # First, for torch 2.3 shrinks the storage of a fake index that has been used.
            peak, left = _step(network, inputs, state=state)
            kept = saved_sizes(network, inputs, state=state)
    except ValueError as error:  # of a batch norm
        raise ParameterError(f"batch: got {batch}: {error}; take more clips at once") from error
    values = sum(map(math.prod, shapes))
    trained = [_bytes(part) for part in network.parameters() if part.requires_grad]
    own = _KEPT[optimiser] * sum(trained)
    return TrainingMemory(
        raw_video=values,
        clips=values * torch.float32.itemsize,
        activations=sum(kept),
        parameters=sum(map(_bytes, _state(network).values())),
        gradients=sum(trained),
        optimiser=own,
        # the optimiser's own values are there from the first step on
        total=own + max(peak, left + _PASSING[optimiser] * max(trained)),
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
        results = _forward(network, inputs, state=state)
    for tensor in [*state.values(), *inputs]:
        storages.pop(tensor.untyped_storage()._cdata, None)
    del results
    return [storage.nbytes() for storage in storages.values()]


def _step(
    network: nn.Module, inputs: Sequence[Tensor], *, state: dict[str, Tensor]
) -> tuple[int, int]:
    """Bytes of all tensors at the peak of a forward and backward pass, and after them."""
    live = LiveBytes([*state.values(), *inputs])
    with live:
        # held to the end, as training does: its log wants the loss and who was right
        results = _forward(network, inputs, state=state)
        torch.autograd.backward(results[-1])
        left = live.now
        del results
    return live.peak, left


def _forward(
    network: nn.Module, inputs: Sequence[Tensor], *, state: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, labels and loss."""
    scores = functional_call(network, state, tuple(inputs))
    labels = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return scores, labels, nn.functional.cross_entropy(scores, labels)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _like(value: Tensor) -> Tensor:
    """A tensor on the CPU of the same shape, strides and type."""
    made = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")
    return made.requires_grad_(value.requires_grad)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
