"""Model `two_stream_conv_fusion`: streams fused after the last convolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from flowstream.models.layers.feature_maps import compute_map_shape, make_map_network
from flowstream.models.model import ClipShape, PairClassifier
from flowstream.models.two_stream import PairedCNN
from flowstream.ranges import check_between


@dataclass(frozen=True)
class TwoStreamConvFusion(PairedCNN):
    """Spatial and temporal network whose maps are fused at each position.

    Feichtenhofer et al. 2016: fusion after the last convolution (best in section 4.3), which
    relates appearance and motion at the same position. `ImageCNN` documents the other options.

    Parameters
    ----------
    fusion : "conv", "sum", "max", "concatenation" or "bilinear"
        How the two maps become one (section 3.1). "conv" is the concatenation and a 1x1
        convolution, the best in table 1 of the paper. "bilinear" is the mean over the positions
        of the outer product of both vectors, signed square rooted and of length 1.
    bilinear_width : int
        Channels that each map is projected to before the outer product: without, 512 channels
        would give 262,144 features.
    """

    name: ClassVar[str] = "two_stream_conv_fusion"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Feichtenhofer et al. 2016, arXiv:1604.06573, section 3.1"

    fusion: Literal["conv", "sum", "max", "concatenation", "bilinear"] = "conv"
    bilinear_width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between("bilinear_width", self.bilinear_width, (1, 1024))

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> ConvFusionNet:
        """Build the network for flow of one shape, RGB frames of its size, and K classes."""
        frame, flow = self.inputs(clip)
        spatial = make_map_network(self.build_trunk(frame, frames=1, blank=blank))
        temporal = make_map_network(self.build_trunk(flow, frames=flow.frames, blank=blank))
        width, _, _ = compute_map_shape(spatial, frame.lengths)
        fuse = (
            Bilinear(width, self.bilinear_width)
            if self.fusion == "bilinear"
            else JOINS[self.fusion](width)
        )
        return ConvFusionNet(
            (frame, flow),
            classes,
            spatial=spatial,
            temporal=temporal,
            fuse=fuse,
            dropout=self.dropout,
        )


class Join(nn.Module):
    """Fusion of two maps (N, C, H', W') to features (N, `width`); this one adds them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.width = channels
        self.average = nn.AdaptiveAvgPool2d(1)

    def join(self, of_rgb: Tensor, of_flow: Tensor) -> Tensor:
        """Return one map of both."""
        return of_rgb + of_flow

    def forward(self, of_rgb: Tensor, of_flow: Tensor) -> Tensor:
        """Return the features: the mean of the joined map over the positions."""
        pooled: Tensor = self.average(self.join(of_rgb, of_flow))
        return pooled.flatten(1)


class Maximum(Join):
    """The larger of both values of each channel."""

    def join(self, of_rgb: Tensor, of_flow: Tensor) -> Tensor:
        """Return one map of both."""
        return torch.maximum(of_rgb, of_flow)


class Concatenation(Join):
    """The channels of both, one after the other."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.width = 2 * channels

    def join(self, of_rgb: Tensor, of_flow: Tensor) -> Tensor:
        """Return one map of both."""
        return torch.cat([of_rgb, of_flow], dim=1)


class Convolution(Join):
    """A 1x1 convolution of the channels of both."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.fuse = nn.Conv2d(2 * channels, channels, 1)
        with torch.no_grad():
            # Two identity matrices, as in section 3.1, so that the maps are added initially.
            self.fuse.weight.copy_(torch.eye(channels).repeat(1, 2)[:, :, None, None])
            nn.init.zeros_(self.fuse.bias)  # type: ignore[arg-type]
        self.activate = nn.ReLU(inplace=True)

    def join(self, of_rgb: Tensor, of_flow: Tensor) -> Tensor:
        """Return one map of both."""
        joined: Tensor = self.activate(self.fuse(torch.cat([of_rgb, of_flow], dim=1)))
        return joined


class Bilinear(nn.Module):
    """The mean outer product of both vectors of a position, after a projection of each."""

    def __init__(self, channels: int, projected: int) -> None:
        super().__init__()
        self.of_rgb = nn.Conv2d(channels, projected, 1, bias=False)
        self.of_flow = nn.Conv2d(channels, projected, 1, bias=False)
        self.width = projected**2

    def forward(self, of_rgb: Tensor, of_flow: Tensor) -> Tensor:
        """Return the features, of length 1."""
        one, two = self.of_rgb(of_rgb).flatten(2), self.of_flow(of_flow).flatten(2)
        products = (one @ two.transpose(1, 2)).flatten(1) / one.shape[2]
        # a little under the root: its gradient is infinite at 0
        rooted = products / (products.square() + 1e-6).pow(0.25)
        return nn.functional.normalize(rooted)


JOINS: Mapping[str, type[Join]] = {
    "conv": Convolution,
    "sum": Join,
    "max": Maximum,
    "concatenation": Concatenation,
}
"""Fusions of two maps that need the number of channels alone."""


class ConvFusionNet(PairClassifier):
    """Two networks from images to maps, a fusion of both maps, and a classifier."""

    def __init__(
        self,
        inputs: tuple[ClipShape, ClipShape],
        classes: int,
        *,
        spatial: nn.Module,
        temporal: nn.Module,
        fuse: Join | Bilinear,
        dropout: float,
    ) -> None:
        super().__init__(inputs, classes)
        self.spatial, self.temporal = spatial, temporal
        self.fuse = fuse
        self.last = nn.Sequential(nn.Dropout(dropout), nn.Linear(fuse.width, classes))

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    def score(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Compute (N, K) scores."""
        of_rgb = self.spatial(rgb.squeeze(2))
        of_flow = self.temporal(flow.transpose(1, 2).flatten(1, 2))  # dx0 dy0 dx1 dy1 ...
        scores: Tensor = self.last(self.fuse(of_rgb, of_flow))
        return scores
