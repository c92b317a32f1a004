"""`c3d`: eight 3x3x3 convolutions, five pools, two wide layers (Tran et al. 2015)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.head import check_dropout
from flowstream.models.model import (
    HALF_TO_ONE,
    ClipShape,
    Model,
    PixelStatistics,
    VideoClassifier,
)

# Figure 3 of the paper: the maps of each stage's convolutions, in units of conv1a's 64.
_STAGES = ((1,), (2,), (4, 4), (8, 8), (8, 8))


@dataclass(frozen=True)
class C3D(Model):
    """Tran et al. 2015, figure 3, made for clips of 3 x 16 x 112 x 112; any from 16 x 16 will do.

    pool1 keeps time; each later pool halves it while two frames are left. fc6 takes what is left
    of the clip: 512 x 1 x 4 x 4 of the paper's.

    Parameters
    ----------
    width : int
        Maps of conv1a; the other stages follow in the paper's proportions.
    norm : bool
        Batch norm after each convolution: not in the paper, but without it few videos train none of
        the ten layers.
    features : int
        Width of fc6 and fc7.
    dropout : float
        After fc6 and fc7; 0.5 in the authors' code.
    """

    name: ClassVar[str] = "c3d"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Tran et al. 2015, arXiv:1412.0767, section 3.2"

    width: int = 64
    norm: bool = False
    features: int = 4096
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for option in ("width", "features"):
            if getattr(self, option) < 1:
                raise ParameterError(f"{option}: got {getattr(self, option)}, expected at least 1")
        check_dropout(self.dropout)

    @property
    def pixels(self) -> PixelStatistics:
        """0..1 to -1..1."""
        return HALF_TO_ONE

    @property
    def smallest(self) -> tuple[int, int, int]:
        """One frame of what pool4 leaves a pixel of; pool5 pads."""
        return (1, 16, 16)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> C3DNet:
        """The network for clips of one shape and K classes."""
        self.refuse_smaller(clip)
        return C3DNet(clip, classes, options=self)


class C3DNet(VideoClassifier):
    """The network of Tran et al. 2015, figure 3, with its fc6 features."""

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
                # He et al. 2015, arXiv:1502.01852: with torch's own start the activations of ten
                # layers without norms would shrink ten thousandfold.
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    @property
    def head(self) -> nn.Module:
        """Dropout and fc8."""
        return self.fc8

    def features(self, clips: Tensor) -> Tensor:
        """(N, 4096) activations of fc6: the descriptor of section 3.3, there L2-normalised."""
        activations: Tensor = self.fc6(self.maps(clips))
        return activations

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) scores."""
        scores: Tensor = self.fc8(self.fc7(self.features(clips)))
        return scores


def _convolutions(clip: ClipShape, options: C3D) -> tuple[nn.Sequential, tuple[int, int, int, int]]:
    """conv1a ... pool5, and the (D, T', H', W') that they end in."""
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
        moments = 1 if stage == 1 else min(2, frames)
        # The authors' pool5 pads space: 7x7 becomes 4x4.
        padding = (0, 1, 1) if stage == 5 else 0
        layers[f"pool{stage}"] = nn.MaxPool3d((moments, 2, 2), padding=padding)
        frames //= moments
        extra = 2 if stage == 5 else 0
        rows, columns = (rows + extra) // 2, (columns + extra) // 2
    return nn.Sequential(layers), (channels, frames, rows, columns)
