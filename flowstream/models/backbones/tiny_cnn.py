"""`tiny_cnn`: a two-layer network whose sizes and receptive fields can be checked by hand."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from flowstream.models.backbones.backbone import UntrainedBackbone


@dataclass(frozen=True)
class TinyCNN(UntrainedBackbone):
    """Convolution 3x3 to 12 maps, pool 4x4, convolution 3x3 to 24 maps, global average."""

    name: str = "tiny_cnn"

    @property
    def min_side(self) -> int:
        """Shortest side: one pool of 4x4."""
        return 4

    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network with random weights."""
        self.check_weights(pretrained)
        network = nn.Sequential(
            OrderedDict[str, nn.Module](
                conv0=nn.Conv2d(3, 12, 3, padding=1),
                act0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(4),
                conv1=nn.Conv2d(12, 24, 3, padding=1),
                act1=nn.ReLU(inplace=True),
                average=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                fc=nn.Linear(24, 1000),
            )
        )
        return self.load(network, pretrained)
