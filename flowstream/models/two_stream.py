"""`two_stream`: a spatial and a temporal network, whose probabilities are averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.model import ClipShape, PairClassifier


@dataclass(frozen=True)
class PairedCNN(ImageCNN):
    """Recipe of a model with one 2D network over RGB and one over flow.

    It is built for the shape of its flow; the RGB input is one frame of the same size.
    """

    streams: ClassVar[tuple[str, ...]] = ("rgb", "flow")

    def inputs(self, clip: ClipShape) -> tuple[ClipShape, ...]:
        """Return the shapes of one RGB frame and of the flow."""
        return (replace(clip, channels=3, frames=1), clip)


@dataclass(frozen=True)
class TwoStream(PairedCNN):
    """Spatial and temporal network of one backbone, trained together.

    `ImageCNN` documents the other options.

    Parameters
    ----------
    temporal_weight : float
        Weight of the temporal network; 0.5 is the average. TSN (Wang et al. 2016,
        arXiv:1608.00859, section 3.2) uses temporal : spatial = 1.5 : 1, which is 0.6.
    """

    name: ClassVar[str] = "two_stream"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Simonyan & Zisserman 2014, arXiv:1406.2199, section 2"

    temporal_weight: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.temporal_weight < 1:
            raise ParameterError(
                f"temporal_weight: got {self.temporal_weight}, expected above 0 and below 1"
            )

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> TwoStreamNet:
        """Build the network for flow of one shape, RGB frames of its size, and K classes."""
        frame, flow = self.inputs(clip)
        return TwoStreamNet(
            (frame, flow),
            classes,
            spatial=self.build_network(frame, classes, frames=1, blank=blank),
            temporal=self.build_network(flow, classes, frames=flow.frames, blank=blank),
            temporal_weight=self.temporal_weight,
        )


class TwoStreamNet(PairClassifier):
    """Two networks; the scores are the logarithm of their weighted mean probability."""

    def __init__(
        self,
        inputs: tuple[ClipShape, ClipShape],
        classes: int,
        *,
        spatial: tuple[nn.Module, nn.Module],
        temporal: tuple[nn.Module, nn.Module],
        temporal_weight: float,
    ) -> None:
        super().__init__(inputs, classes)
        self.spatial, spatial_head = spatial
        self.temporal, temporal_head = temporal
        self.temporal_weight = temporal_weight
        self._head = (
            nn.ModuleList([spatial_head, temporal_head]),
        )  # in a tuple, so that it is not registered twice

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer of both networks."""
        return self._head[0]

    def score(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Compute (N, K) scores whose softmax is the weighted mean of both softmaxes."""
        of_rgb = self.spatial(rgb.squeeze(2)).log_softmax(dim=1)
        stack = flow.transpose(1, 2).flatten(1, 2)  # dx0 dy0 dx1 dy1 ...
        of_flow = self.temporal(stack).log_softmax(dim=1)
        share = self.temporal_weight
        return torch.logaddexp(of_rgb + math.log(1 - share), of_flow + math.log(share))
