"""Convolutional part of a 2D classifier, without its pooling and classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import evaluation_mode

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLED = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.Linear)


def make_map_network(network: nn.Module) -> nn.Module:
    """Return the part of a classifier that computes (N, D, H', W') maps of images.

    It consists of the children in their order, up to the global pool, the flattening or the
    classifier, whichever comes first. torchvision's convolutional classifiers have this structure.
    The modules are shared with `network`, not copied.

    Raises
    ------
    ParameterError
        If no convolution precedes these.
    """
    if hasattr(network, "extract_features"):
        return _Extracted(network)
    if hasattr(network, "forward_features") and hasattr(network, "reset_classifier"):
        return _TimmMaps(network)
    parts: list[nn.Module] = []
    for part in network.children():
        if isinstance(part, _POOLED) or not _keeps_maps(part):
            break
        parts.append(part)
    if not any(isinstance(leaf, _CONVOLUTIONS) for part in parts for leaf in part.modules()):
        raise ParameterError(
            f"{type(network).__name__}: expected a convolution before the classifier"
        )
    if isinstance(network, DenseNet):
        parts.append(nn.ReLU())  # DenseNet applies it as a function
    return nn.Sequential(*parts)


def compute_map_shape(maps: nn.Module, clip: Sequence[int]) -> tuple[int, int, int]:
    """Return (D, H', W') of the maps that a network computes from one frame of a clip.

    Parameters
    ----------
    maps : torch.nn.Module
        From (N, C, H, W) to (N, D, H', W'); unchanged afterwards.
    clip : (C, T, H, W)
    """
    channels, _, rows, columns = clip
    with evaluation_mode(maps), torch.no_grad():
        shape = maps(torch.zeros(1, channels, rows, columns)).shape
    return shape[1], shape[2], shape[3]


def _keeps_maps(part: nn.Module) -> bool:
    """Return true unless a child is a classifier: linear layers and no convolution."""
    leaves = list(part.modules())
    has_linear = any(isinstance(leaf, nn.Linear) for leaf in leaves)
    return not has_linear or any(isinstance(leaf, _CONVOLUTIONS) for leaf in leaves)


class _Extracted(nn.Module):
    """Maps of a network that has a method for them, as EfficientNet's packages do."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.network._fc = nn.Identity()  # never called; its parameters would get no gradient

    def forward(self, images: Tensor) -> Tensor:
        """Compute (N, D, H', W') maps of (N, C, H, W) images."""
        maps: Tensor = self.network.extract_features(images)  # type: ignore[operator]
        return maps


class _TimmMaps(nn.Module):
    """Maps of a network of timm, which has a method for them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        network.reset_classifier(0, "")  # type: ignore[operator]

    def forward(self, images: Tensor) -> Tensor:
        """Compute (N, D, H', W') maps of (N, C, H, W) images."""
        maps: Tensor = self.network.forward_features(images)  # type: ignore[operator]
        if maps.ndim != 4:
            raise ParameterError(
                f"{type(self.network).__name__}: returns {tuple(maps.shape)}, expected maps "
                "(N, D, H, W) of a convolutional network"
            )
        return maps
