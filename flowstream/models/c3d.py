"""`c3d`: eight 3x3x3 convolutions, five pools, two wide layers (Tran et al. 2015)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from flowstream.models.layers.head import check_dropout
from flowstream.models.model import (
    ClipShape,
    Model,
    VideoClassifier,
)
from flowstream.ranges import check_at_least

# Figure 3 of the paper: number of maps of each convolution per stage, in units of conv1a's 64.
_STAGES = ((1,), (2,), (4, 4), (8, 8), (8, 8))


@dataclass(frozen=True)
class C3D(Model):
    """C3D: 3D convolutions of 3x3x3, from Tran et al. 2015, figure 3.

    The paper's clips are 3 x 16 x 112 x 112; images of 16 x 16 and larger are valid. pool1 keeps
    the number of frames; each later pool halves it, down to one. For the paper's clips the
    input of fc6 is 512 x 1 x 4 x 4.

    Parameters
    ----------
    width : int
        Number of maps of conv1a; the other stages keep the paper's proportions.
    norm : bool
        Batch norm after each convolution. It is not in the paper, but without it a few videos are
        not enough to train the ten layers.
    features : int
        Number of units of fc6 and fc7.
    dropout : float
        Rate after fc6 and fc7; 0.5 in the authors' code.
    """

    name: ClassVar[str] = "c3d"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Tran et al. 2015, arXiv:1412.0767, section 3.2"

    width: int = 64
    norm: bool = False
    features: int = 4096
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_at_least("width", self.width, 1)
        check_at_least("features", self.features, 1)
        check_dropout(self.dropout)

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """Smallest clip that pool4 reduces to one pixel; pool5 pads."""
        return (1, 16, 16)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> C3DNet:
        """Build the network for clips of one shape and K classes."""
        self.check_size(clip)
        return C3DNet(clip, classes, options=self)


class C3DNet(VideoClassifier):
    """Network of Tran et al. 2015, figure 3, which also returns its fc6 features."""

    def __init__(self, clip: ClipShape, classes: int, *, options: C3D) -> None:
        super().__init__(clip, classes)
        self.maps, shape = _convolutions(clip, options)
        flat = shape[0] * shape[1] * shape[2] * shape[3]
        width = options.features
        self.fc6 = nn.Sequential(nn.Flatten(), nn.Linear(flat, width), nn.ReLU(inplace=True))
        self.fc7 = nn.Sequential(
            nn.Dropout(options.dropout), nn.Linear(width, width), nn.ReLU(inplace=True)
        )
        self.fc8 = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(width, classes))
        for part in self.modules():
            if isinstance(part, nn.Conv3d | nn.Linear):
                # He et al. 2015, arXiv:1502.01852. With torch's default initialisation the
                # activations of ten layers without norms would shrink by a factor of 10,000.
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    @property
    def head(self) -> nn.Module:
        """Dropout and fc8."""
        return self.fc8

    def features(self, clips: Tensor) -> Tensor:
        """Compute the (N, 4096) activations of fc6, the descriptor of section 3.3."""
        activations: Tensor = self.fc6(self.maps(clips))
        return activations

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores."""
        scores: Tensor = self.fc8(self.fc7(self.features(clips)))
        return scores


def _convolutions(clip: ClipShape, options: C3D) -> tuple[nn.Sequential, tuple[int, int, int, int]]:
    """Build conv1a to pool5; return them and the shape (D, T', H', W') of their output."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, frames, rows, columns = clip.lengths
    for stage, widths in enumerate(_STAGES, start=1):
        for letter, units in zip("ab", widths, strict=False):
            width = units * options.width
            conv = nn.Conv3d(channels, width, 3, padding=1, bias=not options.norm)
            layers[f"conv{stage}{letter}"] = conv
            if options.norm:
                layers[f"norm{stage}{letter}"] = nn.BatchNorm3d(width)
            layers[f"relu{stage}{letter}"] = nn.ReLU(inplace=True)
            channels = width
        depth = 1 if stage == 1 else min(2, frames)
        # The authors' pool5 pads space: 7x7 becomes 4x4.
        padding = (0, 1, 1) if stage == 5 else 0
        layers[f"pool{stage}"] = nn.MaxPool3d((depth, 2, 2), padding=padding)
        frames //= depth
        extra = 2 if stage == 5 else 0
        rows, columns = (rows + extra) // 2, (columns + extra) // 2
    return nn.Sequential(layers), (channels, frames, rows, columns)
