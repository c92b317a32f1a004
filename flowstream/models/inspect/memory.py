"""Estimate of the memory of a training step."""

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
from flowstream.models.inspect.describe import build_on_meta
from flowstream.models.inspect.live_bytes import LiveBytes
from flowstream.models.model import ClipShape, Model
from flowstream.ranges import check_at_least

# Number of values that an optimiser keeps per parameter: momentum; two moments of Adam.
_KEPT = {"sgd": 1, "adamw": 2}

# Largest number of temporary values per parameter. SGD: the gradient with weight decay, and with
# Nesterov's momentum; AdamW: the root of the second moment, the same corrected, and the decayed
# parameter.
_TEMPORARY = {"sgd": 2, "adamw": 3}


@dataclass(frozen=True)
class TrainingMemory:
    """Number of bytes of a training step in float32.

    The total is the peak over the forward pass, the backward pass and the optimiser's step. It may
    be less than the sum of the parts, because activations are freed while gradients of parameters
    are allocated. Half precision about halves the activations. On CUDA the optimisers allocate
    temporary values for all parameters at once, on a CPU for one parameter at a time.

    Memory of the libraries (workspace, CUDA's half gigabyte) is not included. Measured on a CPU,
    two steps on 8 clips of 3 x 16 x 64 x 64: the process grew by 1.01 (recurrent_conv) to 1.36
    (early_fusion) times the total, 5 to 61 MB more, with either optimiser. On 16 clips of
    112 x 112, with SGD, six models: 1.01 to 1.04 times. Most of the difference of early_fusion is
    oneDNN's workspace in the backward pass of a convolution; without oneDNN it was 1.07 times.
    These figures are with MALLOC_MMAP_THRESHOLD_=65536, which returns freed memory; with glibc's
    default recurrent_conv grew by 1.54 times.
    """

    raw_video: int
    """Clips of the batch as stored, one byte per value."""
    clips: int
    """Clips of the batch as input of the network."""
    activations: int
    """Tensors that autograd keeps from the forward pass, each counted once."""
    parameters: int
    """Parameters and the statistics of norms."""
    gradients: int
    """Gradients of the trained parameters."""
    optimiser: int
    """State of the optimiser: one momentum for SGD, two moments for AdamW per parameter."""
    total: int
    """Peak of all tensors, without the raw video, which may stay on disk."""

    @property
    def temporary(self) -> int:
        """Part of the total for gradients of activations and temporary values."""
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
    """Estimate the peak memory of a training step without running it.

    Raises
    ------
    ParameterError
        If the batch is below one, if a norm would see a single value, or if tensors are too large
        for torch.
    """
    check_at_least("batch", batch, 1)
    network = build_on_meta(model, clip, classes).train()
    shapes = [(batch, *shape.lengths) for shape in model.inputs(clip)]
    try:
        # Unlike "meta" tensors, fake CPU tensors use the CPU's operators, which keep other tensors:
        # fused attention does not keep the matrix of its weights.
        with FakeTensorMode():
            state = {name: _like(value) for name, value in _state(network).items()}
            inputs = [torch.empty(shape) for shape in shapes]
            # First, because torch 2.3 shrinks the storage of a fake index after use.
            peak, left = _step(network, inputs, state=state)
            kept = measure_saved_tensors(network, inputs, state=state)
    except ValueError as error:  # from a batch norm
        raise ParameterError(f"batch: got {batch}: {error}. Use a larger batch") from error
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
        # the optimiser's state exists from the first step on
        total=own + max(peak, left + _TEMPORARY[optimiser] * max(trained)),
    )


def measure_saved_tensors(
    network: nn.Module, inputs: Sequence[Tensor], *, state: dict[str, Tensor] | None = None
) -> list[int]:
    """Measure each storage that autograd keeps of a forward pass and its loss.

    Parameters, statistics and inputs are not included, because they exist anyway.

    Parameters
    ----------
    network : torch.nn.Module
    inputs : sequence of Tensor
    state : mapping from name to Tensor, or None
        Replacement of its parameters and buffers; None for its own.
    """
    state = _state(network) if state is None else state
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage  # kept alive, so that its address is not reused
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
    """Return the peak bytes of a forward and backward pass, and the bytes after them."""
    live = LiveBytes([*state.values(), *inputs])
    with live:
        # kept to the end, as training does for its log
        results = _forward(network, inputs, state=state)
        torch.autograd.backward(results[-1])
        left = live.now
        del results
    return live.peak, left


def _forward(
    network: nn.Module, inputs: Sequence[Tensor], *, state: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute scores, labels and loss."""
    scores = functional_call(network, state, tuple(inputs))
    labels = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return scores, labels, nn.functional.cross_entropy(scores, labels)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _like(value: Tensor) -> Tensor:
    """Return an empty CPU tensor of the same shape, strides and type."""
    made = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")
    return made.requires_grad_(value.requires_grad)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
