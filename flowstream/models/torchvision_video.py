"""Video networks of torchvision: `r3d_18`, `mc3_18`, `r2plus1d_18`, `s3d`, `mvit_v2_s`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torchvision import models

from flowstream.models.backbones.torchvision_weights import build_torchvision_network, list_weights
from flowstream.models.layers.head import check_dropout
from flowstream.models.layers.stem import spread_weights
from flowstream.models.layers.submodule import replace_submodule
from flowstream.models.model import (
    ClipShape,
    Model,
    PixelStatistics,
    check_weights,
)
from flowstream.models.whole_classifier import WholeClassifier


@dataclass(frozen=True)
class TorchvisionVideo(Model):
    """Video network of torchvision with a new last layer and, for flow, a new first one.

    Parameters
    ----------
    pretrained : bool or str
        Kinetics-400 weights: false for none, true for the best available, or one of torchvision's
        names. torchvision downloads them to torch's hub directory. A pretrained first layer is
        adapted to flow by cross-modality initialisation (`layers.stem`).
    dropout : float
        Rate before the last layer.
    """

    sees_order: ClassVar[bool] = True
    pretrained: bool | str = False
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_weights("pretrained", self.pretrained, list_weights(self.name))
        check_dropout(self.dropout)

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB that torchvision's weights expect."""
        preset = models.get_model_weights(self.name).DEFAULT.transforms()
        return PixelStatistics(mean=tuple(preset.mean), deviation=tuple(preset.std))

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of one pixel, because all strided layers pad."""
        return (1, 1, 1)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> WholeClassifier:
        """Build the network for clips of one shape and K classes."""
        self.check_size(clip)
        network = build_torchvision_network(
            self.name, False if blank else self.pretrained, kind="model"
        )
        _replace_stem(network, clip.channels, pretrained=self.pretrained is not False)
        head = _replace_head(network, classes, self.dropout)
        self._adapt(network, clip)
        if self.pretrained is False:
            self._initialise(network)
        return WholeClassifier(clip, classes, network=network, head=head)

    def _adapt(self, network: Any, clip: ClipShape) -> None:
        """Adapt the parts of a network that assume the clips of its pretrained weights."""

    def _initialise(self, network: Any) -> None:
        """Adapt the initialisation of a random network to a short training."""


class R3D18(TorchvisionVideo):
    """ResNet-18 with 3D convolutions throughout."""

    name: ClassVar[str] = "r3d_18"
    paper: ClassVar[str] = "Tran et al. 2018, arXiv:1711.11248, section 3.2 (R3D)"


class MC318(TorchvisionVideo):
    """ResNet-18 with 3D convolutions in the first stages and 2D ones in the others."""

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
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of the smallest clip that the pools reduce to one pixel.

        The pools accept five frames. But with five to seven frames and the stem's kernel of seven,
        gradients on a CPU are wrong or the process crashes (oneDNN of torch 2.14).
        """
        return (8, 17, 17)

    def _adapt(self, network: Any, clip: ClipShape) -> None:
        """Use a global average; the original pool has the size of the maps of 224 x 224."""
        network.avgpool = nn.AdaptiveAvgPool3d(1)

    def _initialise(self, network: Any) -> None:
        """Set the momentum of the norms to torch's default of 0.1.

        The original 0.001 is for a hundred thousand steps. After a short training the statistics
        would be close to their initial values, and evaluation would be at chance level.
        """
        for part in network.modules():
            if isinstance(part, nn.BatchNorm3d):
                part.momentum = 0.1


class MViTV2S(TorchvisionVideo):
    """Transformer whose stages have fewer and wider tokens."""

    name: ClassVar[str] = "mvit_v2_s"
    paper: ClassVar[str] = "Li et al. 2022, arXiv:2112.01526, section 3"

    def _adapt(self, network: Any, clip: ClipShape) -> None:
        """Set the number of tubelets.

        The original is for 16 x 224 x 224; relative positions are resampled for other grids.
        """
        strides = network.conv_proj.stride
        grid = [
            (side - 1) // stride + 1 for side, stride in zip(clip.lengths[1:], strides, strict=True)
        ]
        network.pos_encoding.temporal_size = grid[0]
        network.pos_encoding.spatial_size = (grid[1], grid[2])
        # Only the class token leaves the last block; parameters that act on others get no gradient.
        last = network.blocks[-1].attn
        for part in (last.rel_pos_h, last.rel_pos_w, last.rel_pos_t, last.pool_q.pool.weight):
            part.requires_grad_(False)

    def _initialise(self, network: Any) -> None:
        """Initialise the linear layers by Glorot's rule (`initialise_linear_layers`)."""
        initialise_linear_layers(network)


def initialise_linear_layers(network: nn.Module) -> None:
    """Initialise linear layers by Glorot's rule, as torchvision's image transformers do.

    torchvision's video transformers draw all weights with a standard deviation of 0.02, whatever
    their width. This needs long schedules: the residual branches start so small that a few hundred
    steps do not learn motion (Glorot & Bengio 2010, section 4.2.1).
    """
    for part in network.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)


def _replace_stem(network: nn.Module, channels: int, *, pretrained: bool) -> None:
    """Replace the first 3D convolution to accept C channels; keep it for RGB."""
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
            filters = spread_weights(
                conv.weight.flatten(2).unsqueeze(-1), channels=channels, frames=1
            )
            stem.weight.copy_(filters.reshape(stem.weight.shape))
            if stem.bias is not None and conv.bias is not None:
                stem.bias.copy_(conv.bias)
    replace_submodule(network, name, stem)


def _replace_head(network: nn.Module, classes: int, dropout: float) -> nn.Module:
    """Replace the last layer, linear or (in S3D) a 1x1x1 convolution; return the new head."""
    leaves = [(n, m) for n, m in network.named_modules() if not any(m.children())]
    name, last = [(n, m) for n, m in leaves if isinstance(m, nn.Linear | nn.Conv3d)][-1]
    for before, part in leaves:
        # the original dropout would be applied in addition to ours
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
