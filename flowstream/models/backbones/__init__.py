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

_TIMM = "flowstream.models.backbones.timm_cnns:TimmNetwork"
_PREFIXES = ("timm:", "hf-hub:")


class Backbones(Plugins[type[Backbone]]):
    """Table of backbones; names of timm and the Hugging Face hub are valid with a prefix."""

    def __getitem__(self, name: str) -> type[Backbone]:
        if isinstance(name, str) and name.startswith(_PREFIXES):
            table: Plugins[type[Backbone]] = Plugins(self.kind, {name: _TIMM}, extras=_EXTRAS)
            return table[name]
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        prefixed = isinstance(name, str) and name.startswith(_PREFIXES)
        return prefixed or super().__contains__(name)


_EXTRAS = {"efficientnet_lite_pytorch": "train", "timm": "timm"}

BACKBONES = Backbones(
    "backbone",
    {
        "tiny_cnn": "flowstream.models.backbones.tiny_cnn:TinyCNN",
        "small_cnn": "flowstream.models.backbones.small_cnn:SmallCNN",
        "cnn_m_2048": "flowstream.models.backbones.cnn_m:CNNM2048",
        "bn_inception": "flowstream.models.backbones.bn_inception:BNInception",
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
    extras=_EXTRAS,
)
"""Backbones by name: `BACKBONES[name](name)`; also `timm:NAME` and `hf-hub:OWNER/NAME`."""

__all__ = ["BACKBONES", "Backbone", "UntrainedBackbone"]
