"""Limits that keep the description of a network from using all memory or running for hours."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from flowstream.errors import FlowstreamError, ParameterError
from flowstream.models.inspect.trace import Use

MAX_FLOPS = 2e13
"""Limit for receptive fields: about five minutes on one CPU core at 7e10 FLOPs per second.

The rate was measured on slow_fusion, recurrent_conv and c3d. C3D on clips of 16 x 224 x 224 needs
at most 1e13.
"""

MAX_BYTES = 2**32
"""Limit for the weights and the largest tensors of receptive fields."""

BATCH = 4
"""Number of clips that `receptive_fields` runs at once; more saves little time."""

# How torch and Python report that a size does not fit into 64 bits, or into memory.
_TOO_LARGE = re.compile(r"overflow|exceeds the limit|allocate memory", re.IGNORECASE)


@contextmanager
def refuse_huge_tensors() -> Iterator[None]:
    """Raise `ParameterError` where torch cannot represent the size of a tensor.

    Use it as a context manager or as a decorator. Tensors on the "meta" device need no memory, but
    their number of bytes must fit into a signed 64-bit integer. torch and Python report larger
    sizes with several types of exceptions.

    Raises
    ------
    ParameterError
        In place of those exceptions.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    disabled, log.disabled = log.disabled, True  # it would log a traceback
    try:
        yield
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        known = isinstance(error, (OverflowError, MemoryError)) or _TOO_LARGE.search(str(error))
        if isinstance(error, FlowstreamError) or not known:
            raise
        raise ParameterError(
            "sizes: a tensor is too large; expected less than 2^63 bytes. Use a smaller clip or "
            "batch, fewer classes, or smaller options of the model"
        ) from error
    finally:
        log.disabled = disabled


def estimate_bytes(network: nn.Module, inputs: Sequence[Tensor], uses: Sequence[Use]) -> int:
    """Estimate the memory of a forward pass: the weights and the largest tensor with its input."""
    weights = sum(part.numel() for part in network.parameters())
    given = sum(map(Tensor.numel, inputs))
    largest = max(use.output.numel() for use in uses)
    return 4 * (weights + BATCH * (given + 2 * largest))


def refuse_costly(flops: float, memory: float) -> None:
    """Raise `ParameterError` if receptive fields need more than a CPU can reasonably give."""
    for what, got, limit in (("FLOPs", flops, MAX_FLOPS), ("bytes", memory, MAX_BYTES)):
        if got > limit:
            raise ParameterError(
                f"receptive fields: need {got:.1e} {what}; expected at most {limit:.1e}. Use a "
                "smaller clip, or leave them out (--no-receptive-field)"
            )
