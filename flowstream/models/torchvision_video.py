"""Torchvision's video networks, through the same door as all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision import models

from flowstream.models.backbones.torchvision_weights import torchvision_network, weight_names
from flowstream.models.layers.head import check_dropout
from flowstream.models.layers.stem import cross_modality_weights
from flowstream.models.layers.submodule import replace_submodule
from flowstream.models.model import (
    ClipShape,
    Model,
    PixelStatistics,
    VideoClassifier,
    check_weights,
)


@dataclass(frozen=True)
class TorchvisionVideo(Model):
    """One of torchvision's video networks, new first convolution (for flow) and last layer.

    Parameters
    ----------
    pretrained : bool or str
        Kinetics-400 weights: none, the best known, or one of torchvision's names for them; fetched
        by torchvision into torch's hub folder. Pretrained first layers are spread over flow's
        channels by cross-modality initialisation (`layers.stem`).
    dropout : float
        Before the last layer.
    """

    sees_order: ClassVar[bool] = True
    pretrained: bool | str = False
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_weights("pretrained", self.pretrained, weight_names(self.name))
        check_dropout(self.dropout)

    @property
    def pixels(self) -> PixelStatistics:
        """As torchvision's weights expect."""
        preset = models.get_model_weights(self.name).DEFAULT.transforms()
        return PixelStatistics(mean=tuple(preset.mean), deviation=tuple(preset.std))

    @property
    def smallest(self) -> tuple[int, int, int]:
        """One pixel: they pad what they thin out."""
        return (1, 1, 1)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> TorchvisionClassifier:
        """The network for clips of one shape and K classes."""
        self.refuse_smaller(clip)
        network = torchvision_network(self.name, False if blank else self.pretrained, kind="model")
        _replace_stem(network, clip.channels, pretrained=self.pretrained is not False)
        head = _replace_head(network, classes, self.dropout)
        self._fit(network, clip)
        if self.pretrained is False:
            self._start(network)
        return TorchvisionClassifier(clip, classes, parts=(network, head))

    def _fit(self, network: Any, clip: ClipShape) -> None:
        """Make what a network fixes for its weights' clips fit these."""

    def _start(self, network: Any) -> None:
        """Make a random network learn in a short training, too."""


class R3D18(TorchvisionVideo):
    """ResNet-18 with 3D convolutions throughout."""

    name: ClassVar[str] = "r3d_18"
    paper: ClassVar[str] = "Tran et al. 2018, arXiv:1711.11248, section 3.2 (R3D)"


class MC318(TorchvisionVideo):
    """ResNet-18 with 3D convolutions below and 2D ones above."""

    name: ClassVar[str] = "mc3_18"
    paper: ClassVar[str] = "Tran et al. 2018, arXiv:1711.11248, section 3.3 (MCx)"


class R2Plus1D18(TorchvisionVideo):
    """ResNet-18 with each 3D convolution split into a spatial and a temporal one."""

    name: ClassVar[str] = "r2plus1d_18"
    paper: ClassVar[str] = "Tran et al. 2018, arXiv:1711.11248, section 3.5 (R(2+1)D)"


class S3D(TorchvisionVideo):
    """Inception with each 3D convolution split into a spatial and a temporal one."""

    name: ClassVar[str] = "s3d"
    paper: ClassVar[str] = "Xie et al. 2018, arXiv:1712.04851, section 4.3"

    @property
    def smallest(self) -> tuple[int, int, int]:
        """What its pools, the last of them without padding, leave a pixel of.

        Five frames would do for them, but where five to seven meet the stem's seven over time, a
        CPU's gradients are wrong or the process dies (oneDNN of torch 2.14).
        """
        return (8, 17, 17)

    def _fit(self, network: Any, clip: ClipShape) -> None:
        """Average all maps; its own average is as large as those of 224 x 224."""
        network.avgpool = nn.AdaptiveAvgPool3d(1)

    def _start(self, network: Any) -> None:
        """Let its norms follow at torch's own 0.1 a step.

        Theirs is 0.001, made for a hundred thousand steps: after a short training they would still
        be near their start, and evaluation at chance.
        """
        for part in network.modules():
            if isinstance(part, nn.BatchNorm3d):
                part.momentum = 0.1


class MViTV2S(TorchvisionVideo):
    """A transformer whose tokens thin out and widen stage by stage."""

    name: ClassVar[str] = "mvit_v2_s"
    paper: ClassVar[str] = "Li et al. 2022, arXiv:2112.01526, section 3"

    def _fit(self, network: Any, clip: ClipShape) -> None:
        """Tell it how many tubelets there are.

        It is made for 16 x 224 x 224; its relative positions are resampled for any other grid.
        """
        strides = network.conv_proj.stride
        grid = [
            (side - 1) // stride + 1 for side, stride in zip(clip.lengths[1:], strides, strict=True)
        ]
        network.pos_encoding.temporal_size = grid[0]
        network.pos_encoding.spatial_size = (grid[1], grid[2])
        # Only the class token leaves the last block: what acts on the others there learns nothing.
        last = network.blocks[-1].attn
        for part in (last.rel_pos_h, last.rel_pos_w, last.rel_pos_t, last.pool_q.pool.weight):
            part.requires_grad_(False)

    def _start(self, network: Any) -> None:
        """See `start_linear_layers`."""
        start_linear_layers(network)


class TorchvisionClassifier(VideoClassifier):
    """One of torchvision's networks, which take (N, C, T, H, W) as ours do."""

    def __init__(
        self, clip: ClipShape, classes: int, *, parts: tuple[nn.Module, nn.Module]
    ) -> None:
        super().__init__(clip, classes)
        self.network, head = parts
        self._head = (head,)  # not registered twice

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self._head[0]

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) scores."""
        scores: Tensor = self.network(clips)
        return scores


def start_linear_layers(network: nn.Module) -> None:
    """Glorot's initialisation of linear layers, as torchvision's image transformers have it.

    Its video transformers draw all weights at a deviation of 0.02, whatever their width. That is
    for long schedules: what the branches add to their input starts so small that a few hundred
    steps bring no motion into it. (Glorot & Bengio 2010, section 4.2.1.)
    """
    for part in network.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)


def _replace_stem(network: nn.Module, channels: int, *, pretrained: bool) -> None:
    """Make the first 3D convolution take C channels; RGB keeps the layer as it is."""
    name, conv = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv3d))
    if channels == conv.in_channels:
        return
    stem = nn.Conv3d(
        channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        stride=conv.stride,  # type: ignore[arg-type]
        padding=conv.padding,  # type: ignore[arg-type]
        bias=conv.bias is not None,
    )
    if pretrained:
        with torch.no_grad():
            filters = cross_modality_weights(conv.weight.flatten(2).unsqueeze(-1), channels)
            stem.weight.copy_(filters.reshape(stem.weight.shape))
            if stem.bias is not None and conv.bias is not None:
                stem.bias.copy_(conv.bias)
    replace_submodule(network, name, stem)


def _replace_head(network: nn.Module, classes: int, dropout: float) -> nn.Module:
    """Dropout and a new last layer, whether that is linear or, in S3D, a 1x1x1 convolution."""
    leaves = [(n, m) for n, m in network.named_modules() if not any(m.children())]
    name, last = [(n, m) for n, m in leaves if isinstance(m, nn.Linear | nn.Conv3d)][-1]
    for before, part in leaves:
        # the network's own dropout right before it would come on top of ours
        if isinstance(part, nn.Dropout) and before.split(".")[0] == name.split(".")[0]:
            replace_submodule(network, before, nn.Identity())
    if isinstance(last, nn.Linear):
        new: nn.Module = nn.Linear(last.in_features, classes)
    else:
        assert isinstance(last, nn.Conv3d)
        new = nn.Conv3d(last.in_channels, classes, 1)
    head = nn.Sequential(nn.Dropout(dropout), new)
    replace_submodule(network, name, head)
    return head
