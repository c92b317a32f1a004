"""Inflation: conversion of any 2D network to 3D, with unchanged scores for a still clip.

Carreira & Zisserman 2017, "Quo Vadis, Action Recognition?", arXiv:1705.07750, section 2.4: filters
N x N become K x N x N by repeating the weights K times along time and dividing them by K. The
scores of a clip of one repeated image are then the scores of that image.

The frames of a clip stay folded into the batch, (N·T, C, H, W), and only the inflated convolutions
read neighbouring frames. All other operations of a network (pools, norms, residual sums, inception
branches, channel attention, functions that are not modules) apply to each frame without change.
Therefore the rule works for any network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from flowstream.errors import ParameterError, ShapeError
from flowstream.models.layers.folding import Folded, fold, set_clip_count, unfold
from flowstream.models.layers.submodule import replace_everywhere
from flowstream.models.layers.temporal_strides import TemporalPool, find_halvings
from flowstream.ranges import check_between

# Parameters of torch's conv2d, in order.
_CONV2D = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")

MAX_KERNEL = 100
"""Largest number of frames of a kernel, a few seconds of video."""


class InflatedConv(nn.Conv3d, Folded):
    """2D convolution with weights for K frames, applied to frames folded into the batch.

    Before the first and after the last frame, these frames are repeated, so that a still clip
    stays still. Spatial padding is that of the 2D convolution, whatever its class.

    Parameters
    ----------
    conv : Conv2d or a subclass that convolves with its weights as they are
        The weights are repeated over time and divided by their number.
    kernel : int
        Number of frames K. An even kernel reads one more frame after than before.
    stride : int
        Stride in time; of T frames, the result has T / stride, rounded up.
    """

    def __init__(self, conv: nn.Conv2d, kernel: int, *, stride: int = 1) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            (kernel, *conv.kernel_size),  # type: ignore[arg-type]
            stride=(stride, *conv.stride),  # type: ignore[arg-type]
            dilation=(1, *conv.dilation),  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
            device="meta",  # values follow below
        )
        weight = conv.weight.detach().unsqueeze(2).repeat(1, 1, kernel, 1, 1) / kernel
        # the layout of the maps: see `fold`
        self.weight = nn.Parameter(
            weight.contiguous(memory_format=torch.channels_last_3d),
            requires_grad=conv.weight.requires_grad,
        )
        if conv.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach().clone(), conv.bias.requires_grad)
        self.train(conv.training)
        template = copy.deepcopy(conv)
        template.weight = nn.Parameter(template.weight.detach()[:0], requires_grad=False)
        template.bias = None
        # It pads the frames. In a tuple, so that its unused weights are not registered.
        self._template = (template,)

    def forward(self, frames: Tensor) -> Tensor:
        """Compute (N·T, D, H', W') maps of (N·T, C, H, W) frames."""
        with _ConvolvedOverTime(self, self._template[0].weight):
            result: Tensor = self._template[0](frames)
        return result

    def convolve(
        self,
        frames: Tensor,
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Tensor:
        """Compute the 3D convolution that replaces a 2D convolution with these parameters."""
        if isinstance(padding, str):
            frames, padding = self._padded(frames, padding), 0
        kernel = self.kernel_size[0]
        clips = unfold(frames, self.count).permute(0, 2, 3, 4, 1)  # keeps channels last
        before, after = (kernel - 1) // 2, kernel // 2
        first, last = clips[:, :1], clips[:, -1:]
        padded = [first.expand(-1, before, -1, -1, -1), clips, last.expand(-1, after, -1, -1, -1)]
        result = functional.conv3d(
            torch.cat(padded, dim=1).permute(0, 4, 1, 2, 3),
            self.weight,
            self.bias,
            stride=(self.stride[0], *_pair(stride)),
            padding=(0, *_pair(padding)),
            dilation=(1, *_pair(dilation)),
            groups=groups,
        )
        return fold(result)

    def _padded(self, frames: Tensor, padding: str) -> Tensor:
        """Pad frames with zeros as torch does for "same"; "valid" adds none."""
        if padding == "valid":
            return frames
        sides = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        edges = [(side // 2, side - side // 2) for side in sides[:0:-1]]  # columns, then rows
        return functional.pad(frames, [*edges[0], *edges[1]])


def _pair(sides: int | Sequence[int]) -> tuple[int, int]:
    """Return rows and columns of one number for both, or of a sequence."""
    rows, columns = (sides, sides) if isinstance(sides, int) else tuple(sides) * (2 // len(sides))
    return rows, columns


class _ConvolvedOverTime(TorchFunctionMode):
    """Mode in which the 2D convolution of a template is computed as its inflated form.

    A subclass of Conv2d keeps its own padding in this way, for example EfficientNet's TensorFlow
    padding, which depends on the image size.
    """

    def __init__(self, part: InflatedConv, weight: Tensor) -> None:
        super().__init__()
        self.part, self.weight = part, weight

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is not functional.conv2d:
            return func(*args, **(kwargs or {}))
        given = {**dict(zip(_CONV2D, args, strict=False)), **(kwargs or {})}
        if given.pop("weight") is not self.weight:
            kind = type(self.part._template[0]).__name__
            raise ParameterError(
                f"inflation: {kind} does not convolve with its own weights, expected a convolution "
                "that uses them without change"
            )
        frames, _ = given.pop("input"), given.pop("bias", None)
        return self.part.convolve(frames, **given)


class InflatedMaps(nn.Module):
    """Inflated network from (N, C, T, H, W) clips, any T, to maps of frames, (N·T, ...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """Apply the network to the frames of the clips, folded into the batch.

        Raises
        ------
        ShapeError
            If the clips are not (N, C, T, H, W), or empty.
        """
        if clips.ndim != 5 or not clips.numel():
            shape = tuple(clips.shape)
            raise ShapeError(f"clips: got shape {shape}, expected (N, C, T, H, W), not empty")
        set_clip_count(self.network, clips.shape[0])
        result: Tensor = self.network(fold(clips))
        return result


class Inflated(InflatedMaps):
    """Inflated network from (N, C, T, H, W) clips, any T, to (N, K) scores."""

    def forward(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores, averaged over time."""
        scores = super().forward(clips)
        return scores.reshape(clips.shape[0], -1, scores.shape[-1]).mean(dim=1)


def inflate(network: nn.Module, kernel: int, *, strides: Sequence[int] = ()) -> Inflated:
    """Convert a 2D classifier to 3D: its spatial convolutions read `kernel` frames.

    Convolutions 1 x 1 do not change, as in I3D. The scores of all frames are averaged at the end,
    which equals global average pooling over time before a linear classifier.

    Parameters
    ----------
    network : torch.nn.Module
        Network from (N, C, H, W) to (N, K); changed in place.
    kernel : int
        Number of frames K, at most 100.
    strides : sequence of int
        Strides in time, one for each part that halves the image, from the input; missing ones are
        1. See `temporal_strides.reduce_time`.

    Raises
    ------
    ParameterError
        If `kernel` is out of range, if the network has no spatial convolution, or if the weights of
        one are computed from other tensors (weight norm, pruning).
    """
    halving = find_halvings(network) if any(stride > 1 for stride in strides) else []
    inflated = _inflate_in_place(network, kernel, halving=halving, strides=strides)
    return Inflated(inflated)


def inflate_maps(network: nn.Module, kernel: int) -> InflatedMaps:
    """Convert a network from images to maps, as `inflate` does, without averaging over time.

    With a kernel of 1 the result is the 2D network on each frame.
    """
    return InflatedMaps(network if kernel == 1 else _inflate_in_place(network, kernel))


def check_kernel(kernel: int) -> None:
    """Raise `ParameterError` unless the number of frames of a kernel is valid."""
    if not isinstance(kernel, int) or isinstance(kernel, bool):
        raise ParameterError(f"kernel: expected an integer, got {kernel!r}")
    check_between("kernel", kernel, (1, MAX_KERNEL))


def _inflate_in_place(
    network: nn.Module,
    kernel: int,
    *,
    halving: Sequence[nn.Module] = (),
    strides: Sequence[int] = (),
) -> nn.Module:
    check_kernel(kernel)
    spatial = {
        name: part
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and max(part.kernel_size) > 1
    }
    if not spatial:
        raise ParameterError(f"{type(network).__name__}: no spatial convolution to inflate")
    for name, conv in spatial.items():
        if not isinstance(conv._parameters.get("weight"), nn.Parameter):
            raise ParameterError(
                f"inflation: the weights of {name!r} are computed from other tensors. First call "
                "torch.nn.utils.parametrize.remove_parametrizations or prune.remove"
            )
    of_part = dict(zip(halving, strides, strict=False))
    inflated: dict[nn.Module, nn.Module] = {
        conv: InflatedConv(conv, kernel, stride=of_part.get(conv, 1)) for conv in spatial.values()
    }
    pooled: dict[nn.Module, nn.Module] = {
        part: TemporalPool(part, stride)
        for part, stride in of_part.items()
        if stride > 1 and part not in inflated
    }
    replace_everywhere(network, inflated)
    replace_everywhere(network, pooled)  # afterwards, because these contain convolutions
    return network
