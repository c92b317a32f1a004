"""`recurrent_conv`: maps that depend on the layer below now and on themselves a moment ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.conv_rnn import GATES, ConvRNN
from flowstream.models.layers.head import check_dropout
from flowstream.models.model import (
    HALF_TO_ONE,
    ClipShape,
    Model,
    PixelStatistics,
    VideoClassifier,
)


@dataclass(frozen=True)
class RecurrentConv(Model):
    """A recurrent convolutional network: an RNN at every place of every layer.

    The map of layer l at moment t is computed from that of layer l at t-1 and that of layer l-1 at
    t, by 2D convolutions whose weights are shared over time and differ between layers. Its field of
    view in time is all that came before, and it takes any number of frames.

    Parameters
    ----------
    widths : tuple of int
        Maps of each layer; between two, a pool of 2x2.
    cell : "rnn", "gru" or "lstm"
        The recurrence.
    kernel : int
        Odd side of all convolutions.
    stride : int
        Of a first pool over the images, to save time: 1 is none.
    dropout : float
        Before the last layer.
    """

    name: ClassVar[str] = "recurrent_conv"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Ballas et al. 2016, arXiv:1511.06432, section 3"

    widths: tuple[int, ...] = (32, 64, 128)
    cell: Literal["rnn", "gru", "lstm"] = "gru"
    kernel: int = 3
    stride: int = 1
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise ParameterError(f"widths: got {self.widths}, expected some numbers of at least 1")
        if self.cell not in GATES:
            raise ParameterError(f"cell: got {self.cell!r}, expected one of: {', '.join(GATES)}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ParameterError(f"kernel: got {self.kernel}, expected an odd number")
        if self.stride < 1:
            raise ParameterError(f"stride: got {self.stride}, expected at least 1")
        check_dropout(self.dropout)

    @property
    def pixels(self) -> PixelStatistics:
        """0..1 to -1..1."""
        return HALF_TO_ONE

    @property
    def smallest(self) -> tuple[int, int, int]:
        """One frame of what the pools leave a pixel of."""
        side = self.stride * 2 ** (len(self.widths) - 1)
        return (1, side, side)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> RecurrentConvNet:
        """The network for clips of one shape and K classes."""
        self.refuse_smaller(clip)
        return RecurrentConvNet(clip, classes, options=self)


class RecurrentConvNet(VideoClassifier):
    """Recurrent layers of maps; the last layer's last maps are averaged over space and scored."""

    def __init__(self, clip: ClipShape, classes: int, *, options: RecurrentConv) -> None:
        super().__init__(clip, classes)
        self.thin = nn.AvgPool2d(options.stride) if options.stride > 1 else nn.Identity()
        below = [clip.channels, *options.widths]
        self.layers = nn.ModuleList(
            ConvRNN(channels, width, cell=options.cell, kernel=options.kernel)
            for channels, width in zip(below, options.widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Sequential(
            nn.Flatten(), nn.Dropout(options.dropout), nn.Linear(options.widths[-1], classes)
        )

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) scores at the last moment."""
        maps = _each(self.thin, clips.transpose(1, 2))  # (N, T, C, H, W)
        for depth, layer in enumerate(self.layers):
            maps = layer(_each(self.pool, maps) if depth else maps)
        scores: Tensor = self.last(self.average(maps[:, -1]))
        return scores


def _each(layer: nn.Module, maps: Tensor) -> Tensor:
    """A 2D layer on each moment of (N, T, C, H, W) maps."""
    result: Tensor = layer(maps.flatten(0, 1))
    return result.reshape(*maps.shape[:2], *result.shape[1:])
