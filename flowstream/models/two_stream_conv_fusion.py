"""Model `two_stream_conv_fusion`: streams fused after the last convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from flowstream.models.layers.feature_maps import compute_map_shape, make_map_network
from flowstream.models.model import ClipShape, PairClassifier
from flowstream.models.two_stream import PairedCNN


@dataclass(frozen=True)
class TwoStreamConvFusion(PairedCNN):
    """Spatial and temporal network whose maps are fused at each position.

    Feichtenhofer et al. 2016: fusion after the last convolution (best in section 4.3) by
    concatenation and a 1x1 convolution (section 3.1, "conv fusion"), which relates appearance and
    motion at the same position. `ImageCNN` documents the options.
    """

    name: ClassVar[str] = "two_stream_conv_fusion"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Feichtenhofer et al. 2016, arXiv:1604.06573, section 3.1"

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> ConvFusionNet:
        """Build the network for flow of one shape, RGB frames of its size, and K classes."""
        frame, flow = self.inputs(clip)
        spatial = make_map_network(self.build_trunk(frame, frames=1, blank=blank))
        temporal = make_map_network(self.build_trunk(flow, frames=flow.frames, blank=blank))
        return ConvFusionNet(
            (frame, flow), classes, spatial=spatial, temporal=temporal, dropout=self.dropout
        )


class ConvFusionNet(PairClassifier):
    """Two networks from images to maps, a convolution over both, and a classifier."""

    def __init__(
        self,
        inputs: tuple[ClipShape, ClipShape],
        classes: int,
        *,
        spatial: nn.Module,
        temporal: nn.Module,
        dropout: float,
    ) -> None:
        super().__init__(inputs, classes)
        self.spatial, self.temporal = spatial, temporal
        width, _, _ = compute_map_shape(spatial, inputs[0].lengths)
        self.fuse = nn.Conv2d(2 * width, width, 1)
        with torch.no_grad():
            # Two identity matrices, as in section 3.1, so that the maps are added initially.
            self.fuse.weight.copy_(torch.eye(width).repeat(1, 2)[:, :, None, None])
            nn.init.zeros_(self.fuse.bias)  # type: ignore[arg-type]
        self.activate = nn.ReLU(inplace=True)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, classes))

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    def score(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Compute (N, K) scores."""
        of_rgb = self.spatial(rgb.squeeze(2))
        of_flow = self.temporal(flow.transpose(1, 2).flatten(1, 2))  # dx0 dy0 dx1 dy1 ...
        fused = self.activate(self.fuse(torch.cat([of_rgb, of_flow], dim=1)))
        scores: Tensor = self.last(self.average(fused))
        return scores
