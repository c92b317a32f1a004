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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from flowstream.errors import ParameterError, ShapeError
from flowstream.models.layers.folding import Folded, fold, tell_count, unfold
from flowstream.models.layers.submodule import replace_everywhere

# Parameters of torch's conv2d, in their order.
_CONV2D = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")

LONGEST = 100
"""Frames of the longest kernel: some seconds, and no memory to speak of."""


class InflatedConv(nn.Conv3d, Folded):
    """A 2D convolution with K moments of weights, on frames folded into the batch.

    Out of range, the first and last frame are repeated, so that a still clip stays still; the 2D
    convolution's own way to pad space is kept, whatever its class.

    Parameters
    ----------
    conv : Conv2d or a subclass that convolves with its weights as they are
        They are repeated over time and divided by their number.
    kernel : int
        K. An even one looks one moment further ahead than back.
    """

    def __init__(self, conv: nn.Conv2d, kernel: int) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            (kernel, *conv.kernel_size),  # type: ignore[arg-type]
            stride=(1, *conv.stride),  # type: ignore[arg-type]
            dilation=(1, *conv.dilation),  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
            device="meta",  # no values yet: they are given below
        )
        weight = conv.weight.detach().unsqueeze(2).repeat(1, 1, kernel, 1, 1) / kernel
        # as the maps lie: see `fold`
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
        # How frames are padded: no part of this module, for its weights are not used.
        self._template = (template,)

    def forward(self, frames: Tensor) -> Tensor:
        """(N·T, D, H', W') of (N·T, C, H, W)."""
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
        """The 3D convolution of frames in the place of a 2D one of these numbers."""
        if isinstance(padding, str):
            frames, padding = self._padded(frames, padding), 0
        kernel = self.kernel_size[0]
        clips = unfold(frames, self.count).permute(0, 2, 3, 4, 1)  # padded so, they lie so
        before, after = (kernel - 1) // 2, kernel // 2
        first, last = clips[:, :1], clips[:, -1:]
        padded = [first.expand(-1, before, -1, -1, -1), clips, last.expand(-1, after, -1, -1, -1)]
        result = functional.conv3d(
            torch.cat(padded, dim=1).permute(0, 4, 1, 2, 3),
            self.weight,
            self.bias,
            stride=(1, *_pair(stride)),
            padding=(0, *_pair(padding)),
            dilation=(1, *_pair(dilation)),
            groups=groups,
        )
        return fold(result)

    def _padded(self, frames: Tensor, padding: str) -> Tensor:
        """Frames with the zeros of torch's padding "same"; "valid" has none."""
        if padding == "valid":
            return frames
        sides = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        edges = [(side // 2, side - side // 2) for side in sides[:0:-1]]  # columns, then rows
        return functional.pad(frames, [*edges[0], *edges[1]])


def _pair(sides: int | Sequence[int]) -> tuple[int, int]:
    """Rows and columns, of what may be one number for both, or in a list."""
    rows, columns = (sides, sides) if isinstance(sides, int) else tuple(sides) * (2 // len(sides))
    return rows, columns


class _ConvolvedOverTime(TorchFunctionMode):
    """Within it, the 2D convolution of a template is computed as its inflated one.

    So a subclass of Conv2d keeps its own way to pad, as EfficientNet's with TensorFlow's padding,
    which depends on the image.
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
                f"inflation: {kind} convolves with other weights than its own, expected a "
                "convolution that takes them as they are"
            )
        frames, _ = given.pop("input"), given.pop("bias", None)
        return self.part.convolve(frames, **given)


class InflatedMaps(nn.Module):
    """A network from (N, C, T, H, W) clips, any T, to what it makes of each moment, (N·T, ...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Tensor) -> Tensor:
        """What the network makes of the clips' frames, folded into the batch.

        Raises
        ------
        ShapeError
            If they are not (N, C, T, H, W), or there are none.
        """
        if clips.ndim != 5 or not clips.numel():
            shape = tuple(clips.shape)
            raise ShapeError(f"clips: got shape {shape}, expected some of (N, C, T, H, W)")
        tell_count(self.network, len(clips))
        result: Tensor = self.network(fold(clips))
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
        K of the paper, at most 100.

    Raises
    ------
    ParameterError
        If `kernel` is out of range, or the network has no spatial convolution, or one whose weights
        are computed from others (weight norm, pruning).
    """
    return Inflated(_inflated_in_place(network, kernel))


def inflate_maps(network: nn.Module, kernel: int) -> InflatedMaps:
    """As `inflate`, for a network from images to maps: they stay apart, one a moment.

    With a kernel of 1 it is the 2D network on each frame.
    """
    return InflatedMaps(network if kernel == 1 else _inflated_in_place(network, kernel))


def check_kernel(kernel: int) -> None:
    """Refuse what is no number of frames for a kernel."""
    if not isinstance(kernel, int) or isinstance(kernel, bool) or not 1 <= kernel <= LONGEST:
        raise ParameterError(f"kernel: got {kernel!r}, expected 1 to {LONGEST} frames")


def _inflated_in_place(network: nn.Module, kernel: int) -> nn.Module:
    check_kernel(kernel)
    spatial = {
        name: part
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and max(part.kernel_size) > 1
    }
    if not spatial:
        raise ParameterError(f"{type(network).__name__}: has no spatial convolution to inflate")
    for name, conv in spatial.items():
        if not isinstance(conv._parameters.get("weight"), nn.Parameter):
            raise ParameterError(
                f"inflation: the weights of {name!r} are computed from others; make them its own "
                "first (torch.nn.utils.parametrize.remove_parametrizations, prune.remove)"
            )
    replace_everywhere(network, {conv: InflatedConv(conv, kernel) for conv in spatial.values()})
    return network
