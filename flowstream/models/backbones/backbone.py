"""The interface of a backbone: a 2D network that classifies RGB images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from flowstream.models.backbones.weight_files import is_weight_file, load_file
from flowstream.models.model import HALF_TO_ONE, PixelStatistics, check_weights


@dataclass(frozen=True)
class Backbone(ABC):
    """2D network that classifies RGB images; a subclass knows how to build it."""

    name: str
    """Name in `BACKBONES`."""

    @property
    @abstractmethod
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB that the pretrained weights expect."""

    @property
    @abstractmethod
    def min_side(self) -> int:
        """Shortest side of an image that the network accepts."""

    @property
    @abstractmethod
    def weights(self) -> tuple[str, ...]:
        """Names of the available pretrained weights."""

    @abstractmethod
    def build(self, pretrained: bool | str) -> nn.Module:
        """Build the network as its authors defined it: 3 channels in, 1000 classes out.

        Parameters
        ----------
        pretrained : bool or str
            False for random weights, True for the best available, one of `weights`, or a file of
            weights (`weight_files`).

        Raises
        ------
        ParameterError
            If there are no such weights.
        CheckpointError
            If the weights cannot be downloaded or read.
        """

    def check_weights(self, pretrained: bool | str) -> None:
        """Raise `ParameterError` if there are no such weights; files are checked later."""
        if not is_weight_file(pretrained):
            check_weights(f"backbone {self.name!r}", pretrained, self.weights)

    def load(self, network: nn.Module, pretrained: bool | str) -> nn.Module:
        """Load weights into a network if `pretrained` names a file; return the network."""
        if is_weight_file(pretrained):
            load_file(network, str(pretrained))
        return network


class UntrainedBackbone(Backbone):
    """Network without pretrained weights, small enough to train from scratch."""

    @property
    def pixels(self) -> PixelStatistics:
        """Normalisation of RGB from 0..1 to -1..1."""
        return HALF_TO_ONE

    @property
    def weights(self) -> tuple[str, ...]:
        """Empty: there are no pretrained weights."""
        return ()
