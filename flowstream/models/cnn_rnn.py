"""`cnn_rnn`: features of each moment by a CNN, then a recurrent network over time."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.layers.feature_maps import feature_maps, map_shape
from flowstream.models.layers.inflate import check_kernel, inflate_maps
from flowstream.models.model import ClipShape, FeatureClassifier

CELLS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class CNNRNN(ImageCNN):
    """A 2D or 3D CNN gives D features a moment, an RNN, GRU or LSTM makes scores of their sequence.

    Other options as in `ImageCNN`.

    Parameters
    ----------
    kernel : int
        Frames that each convolution looks at: 1 is a 2D CNN, 3 a 3D one (`layers.inflate`).
    cell : "rnn", "gru" or "lstm"
        The recurrence.
    hidden : int
        Width of its state.
    layers : int
        Recurrent layers, one on the other.
    grid : int
        Maps are averaged over the cells of a grid of this side, whose features stand side by side.
        1 forgets all places, as image classifiers do, and a recurrence cannot see then that
        something has moved. Donahue et al. 2015 take CaffeNet's fc6, which knows 6 x 6 places.
    fine_tune : bool or None
        Train the CNN too. None: exactly when it is not pretrained. A CNN that is not trained is
        kept in evaluation mode and without back-propagation, and its features can be cached.
    """

    name: ClassVar[str] = "cnn_rnn"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Donahue et al. 2015, arXiv:1411.4389, section 4"

    kernel: int = 1
    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    hidden: int = 256
    layers: int = 1
    grid: int = 1
    fine_tune: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell not in CELLS:
            raise ParameterError(f"cell: got {self.cell!r}, expected one of: {', '.join(CELLS)}")
        check_kernel(self.kernel)
        for option, most in (("hidden", None), ("layers", 100), ("grid", 100)):
            value = getattr(self, option)
            if value < 1:
                raise ParameterError(f"{option}: got {value}, expected at least 1")
            if most and value > most:  # Donahue et al. have one or two layers, 6 x 6 places
                raise ParameterError(f"{option}: got {value}, expected 1 to {most}")
        if self.fine_tune is False and self.pretrained is False:
            raise ParameterError(
                "fine_tune: false would keep random features; set pretrained, or fine_tune = true"
            )

    @property
    def keeps_features(self) -> bool:
        """Whether the CNN is not trained."""
        return self.pretrained is not False if self.fine_tune is None else not self.fine_tune

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> RecurrentClassifier:
        """The network for clips of one shape and K classes."""
        trunk = self.trunk(clip, frames=1, blank=blank)
        return RecurrentClassifier(
            clip, classes, trunk=trunk, options=self, frozen=self.keeps_features
        )


class RecurrentClassifier(FeatureClassifier):
    """Features of each moment, a recurrence over them, scores of its states."""

    def __init__(
        self, clip: ClipShape, classes: int, *, trunk: nn.Module, options: CNNRNN, frozen: bool
    ) -> None:
        super().__init__(clip, classes)
        maps = feature_maps(trunk)
        width = map_shape(maps, clip.lengths)[0] * options.grid**2
        self.maps = inflate_maps(maps, options.kernel)
        self.average = nn.AdaptiveAvgPool2d(options.grid)
        self.recurrent = CELLS[options.cell](
            width, options.hidden, options.layers, batch_first=True
        )
        self.last = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(options.hidden, classes))
        self.frozen = frozen
        if frozen:
            self.maps.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> RecurrentClassifier:
        """Set training mode; a frozen CNN stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.maps.eval()
        return self

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    @property
    def extractor(self) -> nn.Module:
        """The CNN."""
        return self.maps

    def features(self, clips: Tensor) -> Tensor:
        """(N, T, D) features of each moment of (N, C, T, H, W) clips."""
        with torch.no_grad() if self.frozen else nullcontext():
            maps = self.maps(clips)  # (N·T, D, H', W')
            pooled: Tensor = self.average(maps)
            return pooled.reshape(len(clips), clips.shape[2], -1)

    def score_features(self, features: Tensor) -> Tensor:
        """(N, T, K) scores at each moment, many to many, of what has been seen by then."""
        states, _ = self.recurrent(features)  # (N, T, hidden)
        scores: Tensor = self.last(states)
        return scores
