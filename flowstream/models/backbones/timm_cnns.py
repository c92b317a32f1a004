"""Image networks of the package `timm`, and those that the Hugging Face hub stores for it.

`timm:resnet50.a1_in1k` is a network of timm by its name; `hf-hub:timm/resnet50.a1_in1k` is read
from the hub. timm downloads weights to the hub's cache. `hf-hub:DIRECTORY` is a directory with
`config.json` and weights that was downloaded before, for machines without a network.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from torch import nn

from flowstream.errors import CheckpointError, UnknownNameError, did_you_mean
from flowstream.models.backbones.backbone import Backbone
from flowstream.models.model import PixelStatistics


@dataclass(frozen=True)
class TimmNetwork(Backbone):
    """Network of timm, convolutional or a vision transformer."""

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB that the weights expect."""
        config = self._config
        return PixelStatistics(mean=tuple(config["mean"]), deviation=tuple(config["std"]))

    @property
    def min_side(self) -> int:
        """Shortest side that timm documents; else 32, five halvings."""
        config = self._config
        if config.get("fixed_input_size"):
            return int(config["input_size"][1])
        return int((config.get("min_input_size") or (3, 32, 32))[1])

    @property
    def weights(self) -> tuple[str, ...]:
        """Name of the weights: the tag in the name of the network, or "default"."""
        config = self._config
        has_weights = config.get("url") or config.get("hf_hub_id") or config.get("file")
        return ((config.get("tag") or "default"),) if has_weights else ()

    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network, with its ImageNet head of 1000 classes or its own."""
        self.check_weights(pretrained)
        fetched = pretrained is True or pretrained in self.weights
        network: nn.Module = self._call("weights", self._create, fetched)
        return self.load(network, False if fetched else pretrained)

    def _create(self, name: str, pretrained: bool) -> nn.Module:
        if not self._config.get("fixed_input_size"):
            plain: nn.Module = timm.create_model(name, pretrained=pretrained)
            return plain
        try:  # vision transformers resample their positions for other sizes
            network: nn.Module = timm.create_model(
                name, pretrained=pretrained, dynamic_img_size=True
            )
        except TypeError:
            network = timm.create_model(name, pretrained=pretrained)
        return network

    def _call(self, what: str, function: Any, pretrained: bool) -> Any:
        """Call timm; raise `CheckpointError` if it cannot download something."""
        try:
            return function(self._timm_name, pretrained=pretrained)
        except (OSError, RuntimeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                f"backbone {self.name!r}: cannot load its {what}: {reason:.200}. Connect once, or "
                "set pretrained = false or a file"
            ) from error

    @property
    def _timm_name(self) -> str:
        """Name of the network for timm, which has a prefix of its own for directories."""
        name = self.name.removeprefix("hf-hub:")
        if name != self.name and (Path(name) / "config.json").is_file():
            return f"local-dir:{name}"
        return self.name.removeprefix("timm:")

    @property
    def _config(self) -> dict[str, Any]:
        """Configuration of the weights: normalisation, sizes and their origin."""
        name = self.name.removeprefix("timm:")
        if self.name.startswith("timm:"):
            if not timm.is_model(name):
                known = timm.list_models()
                hint = did_you_mean(name.split(".")[0], known)
                raise UnknownNameError(
                    f"backbone {self.name!r}: timm has no such network; it has {len(known)}.{hint}"
                )
            found = timm.get_pretrained_cfg(name)
            return dataclasses.asdict(found) if found is not None else dict(_DEFAULTS)

        def load(source: str, pretrained: bool) -> Any:
            prefix, _, place = source.partition(":")
            if prefix == "local-dir":
                from timm.models._hub import load_model_config_from_path

                return load_model_config_from_path(place)
            from timm.models import load_model_config_from_hf

            return load_model_config_from_hf(place)

        config, *_ = self._call("configuration", load, False)
        return {**_DEFAULTS, **config}


_DEFAULTS = {"mean": timm.data.IMAGENET_DEFAULT_MEAN, "std": timm.data.IMAGENET_DEFAULT_STD}
