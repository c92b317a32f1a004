"""`slow_fusion`: a plain 3D CNN that reduces time layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.head import check_dropout
from flowstream.models.model import (
    ClipShape,
    Model,
    VideoClassifier,
)
from flowstream.ranges import check_at_least


@dataclass(frozen=True)
class SlowFusion(Model):
    """Plain 3D CNN with random initial weights.

    Its convolutions share weights over time, so it generalises between frames, unlike early
    fusion.

    Parameters
    ----------
    widths : tuple of int
        Number of maps of each 3x3x3 convolution; a pool lies between two.
    pool : int
        Side of the pools in time and space; in time at most the remaining frames.
    norm : bool
        Batch norm after each convolution.
    dropout : float
        Rate before the last layer.
    """

    name: ClassVar[str] = "slow_fusion"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Karpathy et al. 2014, doi:10.1109/CVPR.2014.223, section 3.1; Ji et al. 2013, "
        "doi:10.1109/TPAMI.2012.59"
    )

    widths: tuple[int, ...] = (32, 64, 128)
    pool: int = 2
    norm: bool = True
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise ParameterError(f"widths: got {self.widths}, expected integers, each at least 1")
        check_at_least("pool", self.pool, 1)
        check_dropout(self.dropout)

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of the smallest clip that the pools reduce to one pixel."""
        side = self.pool ** (len(self.widths) - 1)
        return (1, side, side)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> Conv3DNet:
        """Build the network for clips of one shape and K classes."""
        self.check_size(clip)
        layers: list[nn.Module] = []
        channels, frames = clip.channels, clip.frames
        for stage, width in enumerate(self.widths):
            if stage:
                depth = min(self.pool, frames)
                layers.append(nn.MaxPool3d((depth, self.pool, self.pool)))
                frames //= depth
            layers.append(nn.Conv3d(channels, width, 3, padding=1, bias=not self.norm))
            layers += [nn.BatchNorm3d(width)] if self.norm else []
            layers.append(nn.ReLU(inplace=True))
            channels = width
        return Conv3DNet(clip, classes, maps=nn.Sequential(*layers), dropout=self.dropout)


class Conv3DNet(VideoClassifier):
    """Network that averages 3D maps over space and time and applies a linear layer.

    Parameters
    ----------
    clip : ClipShape
    classes : int
        Number of classes K.
    maps : torch.nn.Sequential
        From (N, C, T, H, W) clips to (N, D, T', H', W') maps.
    dropout : float
        Rate before the linear layer.
    """

    def __init__(
        self, clip: ClipShape, classes: int, *, maps: nn.Sequential, dropout: float
    ) -> None:
        super().__init__(clip, classes)
        self.maps = maps
        self.average = nn.AdaptiveAvgPool3d(1)
        convolutions = [part for part in maps.modules() if isinstance(part, nn.Conv3d)]
        width = convolutions[-1].out_channels
        self.last = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, classes))

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores."""
        scores: Tensor = self.last(self.average(self.maps(clips)))
        return scores
