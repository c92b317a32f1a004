"""Inflation: any 2D network made to look along time, its answer to a still image kept.

Carreira & Zisserman 2017, "Quo Vadis, Action Recognition?", arXiv:1705.07750, section 2.4: filters
N x N become K x N x N by repeating the weights K times along time and dividing them by K, so that a
clip of one repeated image is answered as the image was.

The frames of a clip stay folded into the batch, (N·T, C, H, W), and only the inflated convolutions
look at a frame's neighbours. Whatever else a network does (pools, norms, residual sums, inception
branches, attention over channels, functions that are no modules) then holds for each moment without
being known, which is what lets the rule apply to any network.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import replace_submodule


class InflatedConv(nn.Module):
    """A 2D convolution with K moments of weights, on frames folded into the batch.

    Out of range, the first and last frame are repeated, so that a still clip stays still; the 2D
    convolution's own padding, stride, groups and class are kept, whatever they are.

    Parameters
    ----------
    conv : Conv2d or a subclass
        Its weights are repeated over time and divided by their number.
    kernel : int
        K, odd.
    """

    def __init__(self, conv: nn.Conv2d, kernel: int) -> None:
        super().__init__()
        weight = conv.weight.detach()
        self.weight = nn.Parameter(weight.unsqueeze(2).repeat(1, 1, kernel, 1, 1) / kernel)
        """(D, C / groups, K, h, w), as Conv3d holds it."""
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach().clone())
        template = copy.deepcopy(conv)
        template.weight = nn.Parameter(template.weight.detach()[:0], requires_grad=False)
        template.bias = None
        # How to convolve one frame: no part of this module, for its weights are given to it.
        self._template = (template,)
        self.frames = 1
        """T of the clips to come; set by `Inflated`."""

    def forward(self, images: Tensor) -> Tensor:
        """(N·T, D, H', W') of (N·T, C, H, W)."""
        kernel = self.weight.shape[2]
        clips = images.unflatten(0, (-1, self.frames))  # type: ignore[no-untyped-call]
        moments = torch.arange(self.frames, device=images.device)
        result: Tensor | None = None
        for k in range(kernel):
            offset = k - kernel // 2
            seen = images
            if offset and self.frames > 1:
                neighbour = (moments + offset).clamp(0, self.frames - 1)
                seen = clips[:, neighbour].flatten(0, 1)
            part = functional_call(self._template[0], {"weight": self.weight[:, :, k]}, (seen,))
            result = part if result is None else result + part
        assert result is not None
        return result if self.bias is None else result + self.bias.view(1, -1, 1, 1)

    @property
    def conv(self) -> nn.Conv2d:
        """The 2D convolution that it was made from, without weights."""
        return self._template[0]

    def extra_repr(self) -> str:
        """Shape of its weights."""
        return f"weight={tuple(self.weight.shape)}"


class InflatedMaps(nn.Module):
    """A network from (N, C, T, H, W) clips, any T, to what it makes of each moment, (N·T, ...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """What the network makes of the clips' frames, folded into the batch."""
        for part in self.network.modules():
            if isinstance(part, InflatedConv):
                part.frames = clips.shape[2]
        result: Tensor = self.network(clips.transpose(1, 2).flatten(0, 1))
        return result


class Inflated(InflatedMaps):
    """A network from (N, C, T, H, W) clips, any T, to (N, K) scores averaged over time."""

    def forward(self, clips: Tensor) -> Tensor:
        """(N, K) means over the T moments' scores."""
        scores = super().forward(clips)
        return scores.reshape(len(clips), clips.shape[2], -1).mean(dim=1)


def inflate(network: nn.Module, kernel: int) -> Inflated:
    """The 3D form of a 2D classifier: each of its spatial convolutions looks at `kernel` frames.

    Convolutions 1 x 1 stay so, as in I3D, where N x N becomes N x N x N. Time is not pooled before
    the end, where the scores of all moments are averaged, which is a linear classifier's global
    average pool over time.

    Parameters
    ----------
    network : torch.nn.Module
        From (N, C, H, W) to (N, K); changed in place.
    kernel : int
        K of the paper, odd.

    Raises
    ------
    ParameterError
        If `kernel` is not odd, or the network has no spatial convolution.
    """
    return Inflated(_inflated_in_place(network, kernel))


def inflate_maps(network: nn.Module, kernel: int) -> InflatedMaps:
    """As `inflate`, for a network from images to maps: they stay apart, one a moment.

    With a kernel of 1 it is the 2D network on each frame.
    """
    return InflatedMaps(network if kernel == 1 else _inflated_in_place(network, kernel))


def _inflated_in_place(network: nn.Module, kernel: int) -> nn.Module:
    if kernel < 1 or kernel % 2 == 0:
        raise ParameterError(f"inflation: got kernel {kernel}, expected an odd number of frames")
    spatial = [
        (name, part)
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and max(part.kernel_size) > 1
    ]
    if not spatial:
        raise ParameterError(f"{type(network).__name__}: has no spatial convolution to inflate")
    for name, conv in spatial:
        replace_submodule(network, name, InflatedConv(conv, kernel))
    return network
