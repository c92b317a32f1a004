"""`cnn_m_2048`: the network of the first two-stream paper."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from flowstream.models.backbones.backbone import Backbone
from flowstream.models.model import PixelStatistics

# Chatfield et al. 2014, table 1, CNN-M: (maps, kernel, stride, padding) of conv1 to conv5.
_CONVOLUTIONS = ((96, 7, 2, 0), (256, 5, 2, 1), (512, 3, 1, 1), (512, 3, 1, 1), (512, 3, 1, 1))


@dataclass(frozen=True)
class CNNM2048(Backbone):
    """CNN-M-2048 of Chatfield et al. 2014, arXiv:1405.3531, table 1.

    Simonyan & Zisserman 2014, arXiv:1406.2199, figure 1, use it for both streams (their temporal
    network leaves out the second normalisation to save memory). Its published weights are in
    Caffe's format; a converted file can be given as `pretrained`.
    """

    name: str = "cnn_m_2048"

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB: mean values of ILSVRC-2012 subtracted from 0..255."""
        return PixelStatistics(
            mean=(123.68 / 255, 116.779 / 255, 103.939 / 255), deviation=(1 / 255,) * 3
        )

    @property
    def min_side(self) -> int:
        """Shortest side that leaves one pixel after conv1 to pool5."""
        return 67

    @property
    def weights(self) -> tuple[str, ...]:
        """Empty: no package has the weights."""
        return ()

    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network; average maps to 6 x 6, which is their size at 224 x 224."""
        self.check_weights(pretrained)
        layers: list[nn.Module] = []
        channels = 3
        for index, (maps, kernel, stride, padding) in enumerate(_CONVOLUTIONS, start=1):
            layers.append(nn.Conv2d(channels, maps, kernel, stride=stride, padding=padding))
            layers.append(nn.ReLU(inplace=True))
            if index <= 2:
                layers.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
            if index in (1, 2, 5):
                layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            channels = maps
        network = nn.Sequential(
            nn.Sequential(*layers),
            nn.AdaptiveAvgPool2d(6),
            nn.Flatten(),
            nn.Sequential(
                nn.Linear(512 * 6 * 6, 4096),
                nn.ReLU(inplace=True),
                nn.Dropout(0.5),
                nn.Linear(4096, 2048),
                nn.ReLU(inplace=True),
                nn.Dropout(0.5),
                nn.Linear(2048, 1000),
            ),
        )
        initialise_without_norms(network)
        return self.load(network, pretrained)


def initialise_without_norms(network: nn.Module) -> None:
    """Initialise by He's rule (arXiv:1502.01852), so that activations do not vanish."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
