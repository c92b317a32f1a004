"""What is too large: sizes beyond torch's integers, receptive fields beyond a CPU."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flowstream.errors import FlowstreamError, ParameterError
from flowstream.models.live_bytes import LiveBytes
from flowstream.models.trace import Use

MOST_FLOPS = 2e13
"""Of receptive fields: some five minutes of a CPU core, which did 7e10 to 1.2e11 a second.

Measured on slow_fusion, recurrent_conv and c3d. C3D on 16 x 224 x 224 takes 1e13 at most.
"""

MOST_BYTES = 2**32
"""Of receptive fields, at their peak: what a small computer has to spare."""

BATCH = 4
"""Clips that `receptive_fields` runs at once; more would save little and cost memory."""

# How torch and Python say that a size does not fit into 64 bits, or into memory.
_TOO_LARGE = re.compile(r"overflow|exceeds the limit|allocate memory", re.IGNORECASE)


@contextmanager
def countable_sizes() -> Iterator[None]:
    """Within it, or within a function that it decorates, sizes that torch cannot count are refused.

    Tensors without values, on the "meta" device, cost nothing, but the bytes that they would take
    have to fit into a signed 64-bit integer.

    Raises
    ------
    ParameterError
        Where torch or Python raises one of several kinds of errors.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    disabled, log.disabled = log.disabled, True  # it would write the traceback of what is refused
    try:
        yield
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        known = isinstance(error, (OverflowError, MemoryError)) or _TOO_LARGE.search(str(error))
        if isinstance(error, FlowstreamError) or not known:
            raise
        raise ParameterError(
            "sizes: got tensors too large to be counted or held, expected less than 2^63 bytes in "
            "each; take a smaller clip or batch, fewer classes, or smaller options of the model"
        ) from error
    finally:
        log.disabled = disabled


@dataclass(frozen=True)
class Cost:
    """What it takes to run a network and see which of its units are spoilt."""

    flops: float
    """Of one clip."""
    memory: float
    """Bytes: weights, the most tensors there are at once for a batch, a note each unit."""

    @classmethod
    def of(cls, network: nn.Module, inputs: Sequence[Tensor], uses: Sequence[Use]) -> Cost:
        """Of a network whose parts were used so on one clip, when several are run at once."""
        weights = sum(part.numel() for part in network.parameters())
        live = LiveBytes()
        with torch.no_grad(), live:  # once more, for `uses` hold their outputs
            network(*inputs)
        units = sum(use.output[:, :1].numel() for use in uses)
        # first and last slice, 4 bytes each, kept; spoilt or not, a byte for each clip
        notes = units * (8 + BATCH)
        given = sum(map(Tensor.numel, inputs))
        return cls(
            flops=sum(use.flops for use in uses),
            memory=4 * (weights + BATCH * given) + BATCH * live.peak + notes,
        )


def refuse_costly(flops: float, memory: float) -> None:
    """Refuse receptive fields that would take more than a CPU has to give.

    Raises
    ------
    ParameterError
        With what they would take, and how to go on without them.
    """
    for what, got, most in (("FLOPs", flops, MOST_FLOPS), ("bytes", memory, MOST_BYTES)):
        if got > most:
            raise ParameterError(
                f"receptive fields: would take {got:.1e} {what}, expected {most:.1e} at most; take "
                "a smaller clip, or leave them out (--no-receptive-field)"
            )
