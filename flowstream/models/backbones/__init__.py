"""2D image networks by name, which most models are built from."""

from __future__ import annotations

import torchvision

from flowstream.models.backbones.backbone import Backbone, UntrainedBackbone
from flowstream.plugins import Plugins

# The convolutional classifiers of torchvision whose first convolution takes RGB and whose last
# layer is linear. SqueezeNet ends in a convolution; the transformers have a fixed input size.
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

BACKBONES: Plugins[type[Backbone]] = Plugins(
    "backbone",
    {
        "tiny_cnn": "flowstream.models.backbones.tiny_cnn:TinyCNN",
        "small_cnn": "flowstream.models.backbones.small_cnn:SmallCNN",
        **{
            f"efficientnet_lite{number}": (
                "flowstream.models.backbones.efficientnet_lite:EfficientNetLite"
            )
            for number in range(3)
        },
        **{
            name: "flowstream.models.backbones.torchvision_cnns:TorchvisionCNN"
            for name in torchvision.models.list_models(module=torchvision.models)
            if name.startswith(_FAMILIES)
        },
    },
    extras={
        "efficientnet_lite_pytorch": "train",
    },
)
"""Backbones by name: `BACKBONES[name](name)`."""

__all__ = ["BACKBONES", "Backbone", "UntrainedBackbone"]
