"""`recurrent_conv`: convolutional layers that are recurrent over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.conv_rnn import GATES, ConvRNN
from flowstream.models.layers.head import check_dropout
from flowstream.models.model import (
    ClipShape,
    Model,
    VideoClassifier,
)
from flowstream.ranges import check_at_least


@dataclass(frozen=True)
class RecurrentConv(Model):
    """Recurrent convolutional network: an RNN at every position of every layer.

    The maps of layer l at frame t depend on those of layer l at t-1 and of layer l-1 at t, by 2D
    convolutions whose weights are shared over time. The receptive field in time is all previous
    frames, and any number of frames is valid.

    Parameters
    ----------
    widths : tuple of int
        Number of maps of each layer; a pool of 2x2 lies between two layers.
    cell : "rnn", "gru" or "lstm"
        Type of the recurrence.
    kernel : int
        Side of all convolutions, odd.
    stride : int
        Side of an average pool of the images, which saves time; 1 is no pool.
    dropout : float
        Rate before the last layer.
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
            raise ParameterError(f"widths: got {self.widths}, expected integers, each at least 1")
        if self.cell not in GATES:
            raise ParameterError(f"cell: got {self.cell!r}, expected one of: {', '.join(GATES)}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ParameterError(f"kernel: got {self.kernel}, expected an odd number")
        check_at_least("stride", self.stride, 1)
        check_dropout(self.dropout)

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """Shape (T, H, W) of the smallest clip that the pools reduce to one pixel."""
        side = self.stride * 2 ** (len(self.widths) - 1)
        return (1, side, side)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> RecurrentConvNet:
        """Build the network for clips of one shape and K classes."""
        self.check_size(clip)
        return RecurrentConvNet(clip, classes, options=self)


class RecurrentConvNet(VideoClassifier):
    """Network of recurrent layers; the last maps are averaged over space and scored."""

    def __init__(self, clip: ClipShape, classes: int, *, options: RecurrentConv) -> None:
        super().__init__(clip, classes)
        self.reduce = nn.AvgPool2d(options.stride) if options.stride > 1 else nn.Identity()
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
        """Compute (N, K) scores at the last frame."""
        maps = _apply_per_frame(self.reduce, clips.transpose(1, 2))  # (N, T, C, H, W)
        for depth, layer in enumerate(self.layers):
            maps = layer(_apply_per_frame(self.pool, maps) if depth else maps)
        scores: Tensor = self.last(self.average(maps[:, -1]))
        return scores


def _apply_per_frame(layer: nn.Module, maps: Tensor) -> Tensor:
    """Apply a 2D layer to each frame of (N, T, C, H, W) maps."""
    result: Tensor = layer(maps.flatten(0, 1))
    return result.reshape(*maps.shape[:2], *result.shape[1:])
