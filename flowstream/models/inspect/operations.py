"""Short descriptions of the operations of a network's parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

_NORMS = {
    nn.modules.batchnorm._BatchNorm: "batch norm",
    nn.LayerNorm: "layer norm",
    nn.GroupNorm: "group norm",
}


def describe_operation(module: nn.Module) -> str:
    """Return e.g. `conv 3×3, 60→12` or `max pool 4×4`; else the name of the class."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return _convolution(module)
    if "Pool" in type(module).__name__:
        return _pool(module)
    if isinstance(module, nn.Linear):
        return f"linear {module.in_features}→{module.out_features}"
    if isinstance(module, nn.MultiheadAttention):
        return f"attention, {module.num_heads} heads"
    if isinstance(module, nn.RNNBase):
        return f"{module.mode} {module.input_size}→{module.hidden_size}"
    norms = [name for kind, name in _NORMS.items() if isinstance(module, kind)]
    return norms[0] if norms else type(module).__name__


def join_lengths(lengths: Iterable[int]) -> str:
    """Join lengths with multiplication signs: `3×3`."""
    return "×".join(map(str, lengths))


def _convolution(conv: nn.modules.conv._ConvNd) -> str:
    kind = "conv"
    if conv.groups > 1:
        kind = "depthwise conv" if conv.groups == conv.in_channels else f"{conv.groups}-group conv"
    text = f"{kind} {join_lengths(conv.kernel_size)}, {conv.in_channels}→{conv.out_channels}"
    return text + _unless_ones("stride", conv.stride) + _unless_ones("dilation", conv.dilation)


def _pool(pool: Any) -> str:
    name = type(pool).__name__
    kind = "max pool" if "Max" in name else "average pool"
    axes = int(name[-2]) if name[-2].isdigit() else 1
    if "Adaptive" in name:
        sides = _sides(pool.output_size, axes)
        return f"global {kind}" if set(sides) == {1} else f"{kind} to {join_lengths(sides)}"
    if not hasattr(pool, "kernel_size"):
        return name
    kernel, stride = _sides(pool.kernel_size, axes), _sides(pool.stride, axes)
    return f"{kind} {join_lengths(kernel)}" + (
        "" if stride == kernel else f", stride {join_lengths(stride)}"
    )


def _sides(given: int | Iterable[int], axes: int) -> tuple[int, ...]:
    return (given,) * axes if isinstance(given, int) else tuple(given)


def _unless_ones(name: str, lengths: Iterable[int]) -> str:
    sides = tuple(lengths)
    return "" if set(sides) == {1} else f", {name} {join_lengths(sides)}"
