"""`bn_inception`: Inception with batch normalisation, the network of the TSN paper."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flowstream.models.backbones.backbone import Backbone
from flowstream.models.model import IMAGENET, PixelStatistics

# Ioffe & Szegedy 2015, figure 5, with the channel numbers of the authors' released model. Maps of
# each module: 1x1; 3x3 reduce, 3x3; double 3x3 reduce, double 3x3; pool projection. 0 is no branch;
# a module without projection halves the image.
_MODULES: OrderedDict[str, tuple[int, tuple[int, int], tuple[int, int], int]] = OrderedDict(
    {
        "3a": (64, (64, 64), (64, 96), 32),
        "3b": (64, (64, 96), (64, 96), 64),
        "3c": (0, (128, 160), (64, 96), 0),
        "4a": (224, (64, 96), (96, 128), 128),
        "4b": (192, (96, 128), (96, 128), 128),
        "4c": (160, (128, 160), (128, 160), 128),
        "4d": (96, (128, 192), (160, 192), 128),
        "4e": (0, (128, 192), (192, 256), 0),
        "5a": (352, (192, 320), (160, 224), 128),
        "5b": (352, (192, 320), (192, 224), 128),
    }
)


@dataclass(frozen=True)
class BNInception(Backbone):
    """BN-Inception of Ioffe & Szegedy 2015, arXiv:1502.03167; 11.3 M parameters.

    TSN (Wang et al. 2016, arXiv:1608.00859) uses it for all streams. Its weights are not in a
    package; a file of them can be given as `pretrained`.
    """

    name: str = "bn_inception"

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB by ImageNet's statistics."""
        return IMAGENET

    @property
    def min_side(self) -> int:
        """Shortest side: the network halves it five times."""
        return 32

    @property
    def weights(self) -> tuple[str, ...]:
        """Empty: no package has the weights."""
        return ()

    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network."""
        self.check_weights(pretrained)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv1"] = _make_unit(3, 64, 7, stride=2)
        layers["pool1"] = nn.MaxPool2d(3, stride=2, padding=1)
        layers["reduce2"] = _make_unit(64, 64, 1)
        layers["conv2"] = _make_unit(64, 192, 3)
        layers["pool2"] = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 192
        for name, (single, triple, double, projection) in _MODULES.items():
            kind = nn.MaxPool2d if name == "5b" or not projection else nn.AvgPool2d
            layers[f"inception{name}"] = block = Inception(
                channels, single, triple, double=double, projection=projection, pool=kind
            )
            channels = block.channels
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(channels, 1000)
        return self.load(nn.Sequential(layers), pretrained)


class Inception(nn.Module):
    """Inception module: parallel branches of convolutions, concatenated.

    Parameters
    ----------
    channels : int
        Number of input maps.
    single : int
        Maps of the 1x1 branch; 0 for a module that halves the image and has none.
    triple, double : (int, int)
        Maps of the reduction and of the 3x3 convolutions of the two other branches.
    projection : int
        Maps after the pool; 0 passes the pooled input on and halves the image.
    pool : type of the pool
    """

    def __init__(
        self,
        channels: int,
        single: int,
        triple: tuple[int, int],
        *,
        double: tuple[int, int],
        projection: int,
        pool: type[nn.MaxPool2d] | type[nn.AvgPool2d],
    ) -> None:
        super().__init__()
        stride = 1 if projection else 2
        branches: list[nn.Module] = [_make_unit(channels, single, 1)] if single else []
        branches.append(
            nn.Sequential(_make_unit(channels, triple[0], 1), _make_unit(*triple, 3, stride=stride))
        )
        branches.append(
            nn.Sequential(
                _make_unit(channels, double[0], 1),
                _make_unit(*double, 3),
                _make_unit(double[1], double[1], 3, stride=stride),
            )
        )
        pooled: nn.Module = pool(3, stride=stride, padding=1)
        if projection:
            pooled = nn.Sequential(pooled, _make_unit(channels, projection, 1))
        branches.append(pooled)
        self.branches = nn.ModuleList(branches)
        self.channels = single + triple[1] + double[1] + (projection or channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute the concatenated maps of all branches."""
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


def _make_unit(channels: int, maps: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """Build convolution, batch norm and ReLU; the authors' convolutions have a bias."""
    conv = nn.Conv2d(channels, maps, kernel, stride=stride, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(maps), nn.ReLU(inplace=True))
