"""`small_cnn`: a network that trains from scratch within seconds on a CPU."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from flowstream.models.backbones.backbone import UntrainedBackbone

_WIDTHS = (16, 32, 64)


@dataclass(frozen=True)
class SmallCNN(UntrainedBackbone):
    """Three 3x3 convolutions with batch norm, two 2x2 pools, and a global average."""

    name: str = "small_cnn"

    @property
    def min_side(self) -> int:
        """Shortest side: two pools halve it twice."""
        return 4

    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network with random weights."""
        self.check_weights(pretrained)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for stage, width in enumerate(_WIDTHS):
            layers[f"conv{stage}"] = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            layers[f"norm{stage}"] = nn.BatchNorm2d(width)
            layers[f"act{stage}"] = nn.ReLU(inplace=True)
            if stage + 1 < len(_WIDTHS):
                layers[f"pool{stage}"] = nn.MaxPool2d(2)
            channels = width
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(channels, 1000)
        return self.load(nn.Sequential(layers), pretrained)
