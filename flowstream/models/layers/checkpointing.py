"""Gradient checkpointing: less memory for activations, one more forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def checkpoint_blocks(network: nn.Module) -> int:
    """Recompute the activations of blocks in the backward pass; return the number of blocks.

    A block is a child, with more than one part, of the outermost sequences of a network. Chen et
    al. 2016, arXiv:1604.06174. Gradients, running statistics and random numbers are those of
    training without checkpointing.
    """
    blocks = [block for block in _find_blocks(network) if len(list(block.modules())) > 2]
    for block in blocks:
        block.forward = partial(_run, block, block.forward)
    return len(blocks)


def _find_blocks(part: nn.Module) -> Iterator[nn.Module]:
    for child in part.children():
        blocks = list(child.children()) if isinstance(child, nn.Sequential | nn.ModuleList) else []
        if len(blocks) > 1 and any(list(block.children()) for block in blocks):
            for block in blocks:
                if isinstance(block, nn.Sequential | nn.ModuleList) and _is_nested(block):
                    yield from _find_blocks(nn.ModuleList([block]))
                else:
                    yield block
        else:
            yield from _find_blocks(child)


def _is_nested(block: nn.Module) -> bool:
    return any(list(child.children()) for child in block.children())


def _run(block: nn.Module, forward: Any, *inputs: Any, **options: Any) -> Any:
    if not (block.training and torch.is_grad_enabled()):
        return forward(*inputs, **options)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _keep_statistics(block)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)


@contextmanager
def _keep_statistics(block: nn.Module) -> Iterator[None]:
    """Keep the running statistics of norms, which the first forward pass has updated."""
    norms = [part for part in block.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    try:
        for norm, count in zip(norms, counts, strict=True):
            norm.momentum = 0.0
            norm.num_batches_tracked = None if count is None else count.clone()
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
