"""Reduction of time inside an inflated network, at the parts that halve the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from flowstream.models.layers.folding import Folded, fold, unfold
from flowstream.models.layers.submodule import evaluation_mode

_PROBE = 256
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)


class TemporalPool(Folded):
    """Max pool over time, before a block or around a spatial pool, on folded frames.

    Carreira & Zisserman 2017, figure 3: the pools of I3D have a stride in time from the fourth
    halving of the image on. A max pool of a block of any other network reduces time before it, as
    Wang et al. 2018, arXiv:1711.07971, table 1, do for ResNets. A still clip stays still.

    Parameters
    ----------
    part : torch.nn.Module
        Spatial pool, or block that halves the image.
    stride : int
        Stride in time; the kernel is 3 for a spatial pool of 3 or more, else the stride.
    """

    def __init__(self, part: nn.Module, stride: int) -> None:
        super().__init__()
        self.part, self.stride = part, stride
        side = part.kernel_size if isinstance(part, _POOLS) else stride
        self.kernel = max(stride, max(side) if isinstance(side, tuple) else int(side))

    def forward(self, frames: Tensor, **options: Any) -> Tensor:
        """Compute the part of frames, of which every `stride`-th remains."""
        clips = unfold(frames, self.count)
        count = clips.shape[2]
        length = -(-count // self.stride)  # rounded up
        before = (self.kernel - 1) // 2
        after = max(0, (length - 1) * self.stride + self.kernel - before - count)
        first, last = clips[:, :, :1], clips[:, :, -1:]
        padded = torch.cat(
            [first.expand(-1, -1, before, -1, -1), clips, last.expand(-1, -1, after, -1, -1)], dim=2
        )
        pooled = functional.max_pool3d(padded, (self.kernel, 1, 1), stride=(self.stride, 1, 1))
        result: Tensor = self.part(fold(pooled[:, :, :length]), **options)
        return result


def find_halvings(network: nn.Module) -> list[nn.Module]:
    """Return the outermost parts that halve the image once, in order of execution.

    The network runs once on an image of 256 x 256 without values.
    """
    ratios: dict[nn.Module, int] = {}

    def record(part: nn.Module, inputs: Any, output: Any) -> None:
        given = inputs[0] if inputs else None
        if not (isinstance(given, Tensor) and isinstance(output, Tensor)):
            return
        if given.ndim == output.ndim == 4 and output.shape[-1] > 1:
            # rounded, because unpadded layers lose some pixels
            ratios[part] = round(given.shape[-1] / output.shape[-1])

    parts = dict(network.named_modules())
    handles = [part.register_forward_hook(record) for part in parts.values()]
    conv = next((part for part in parts.values() if isinstance(part, nn.Conv2d)), None)
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    empty = {name: torch.empty_like(value, device="meta") for name, value in state.items()}
    channels = conv.in_channels if conv else 3
    try:
        with evaluation_mode(network), torch.no_grad():
            image = torch.empty(1, channels, _PROBE, _PROBE, device="meta")
            functional_call(network, empty, (image,))
    finally:
        for handle in handles:
            handle.remove()
    return _collect(network, ratios)


def _collect(part: nn.Module, ratios: dict[nn.Module, int]) -> list[nn.Module]:
    """Return the parts that halve the image, and descend into those that do so several times."""
    ratio = ratios.get(part)
    if ratio == 1:
        return []
    if ratio == 2:
        convolutions: list[nn.Module] = [
            one for one in part.modules() if isinstance(one, nn.Conv2d)
        ]
        # a unit of one convolution, a norm and an activation has its stride in the convolution
        return convolutions if len(convolutions) == 1 else [part]
    return [found for child in part.children() for found in _collect(child, ratios)]
