"""`cnn_rnn`: a CNN computes features of each frame, a recurrent network scores them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.layers.feature_maps import compute_map_shape, make_map_network
from flowstream.models.layers.inflate import check_kernel, inflate_maps
from flowstream.models.model import ClipShape, FeatureClassifier
from flowstream.ranges import check_at_least, check_between

CELLS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class CNNRNN(ImageCNN):
    """CNN for D features per frame, then an RNN, GRU or LSTM over the sequence.

    `ImageCNN` documents the other options.

    Parameters
    ----------
    kernel : int
        Number of frames that each convolution reads: 1 is a 2D CNN, 3 a 3D CNN (`layers.inflate`).
    cell : "rnn", "gru" or "lstm"
        Type of the recurrent layer.
    hidden : int
        Number of units of the state.
    layers : int
        Number of recurrent layers.
    grid : int
        Side of a grid; maps are averaged over each of its cells, and the averages are
        concatenated. With 1, as in image classifiers, all positions are lost, and the recurrent
        network cannot detect that something has moved. Donahue et al. 2015 use CaffeNet's fc6,
        which sees 6 x 6 positions.
    fine_tune : bool or None
        Train the CNN. None means true exactly if it is not pretrained. A CNN that is not trained
        stays in evaluation mode, gets no gradients, and its features can be cached.
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
        check_at_least("hidden", self.hidden, 1)
        # Donahue et al. have one or two layers and 6 x 6 positions
        check_between("layers", self.layers, (1, 100))
        check_between("grid", self.grid, (1, 100))
        if self.fine_tune is False and self.pretrained is False:
            raise ParameterError(
                "fine_tune: got false, expected true without pretrained weights, because random "
                "features would be kept. Set pretrained = true or fine_tune = true"
            )

    @property
    def has_frozen_features(self) -> bool:
        """True if the CNN is not trained."""
        return self.pretrained is not False if self.fine_tune is None else not self.fine_tune

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> RecurrentClassifier:
        """Build the network for clips of one shape and K classes."""
        trunk = self.build_trunk(clip, frames=1, blank=blank)
        return RecurrentClassifier(clip, classes, trunk=trunk, options=self)


class RecurrentClassifier(FeatureClassifier):
    """Network that computes features of each frame, recurrent states, and their scores."""

    def __init__(self, clip: ClipShape, classes: int, *, trunk: nn.Module, options: CNNRNN) -> None:
        super().__init__(clip, classes)
        maps = make_map_network(trunk)
        width = compute_map_shape(maps, clip.lengths)[0] * options.grid**2
        self.maps = inflate_maps(maps, options.kernel)
        self.average = nn.AdaptiveAvgPool2d(options.grid)
        self.recurrent = CELLS[options.cell](
            width, options.hidden, options.layers, batch_first=True
        )
        self.last = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(options.hidden, classes))
        if options.has_frozen_features:
            self.freeze()

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self.last

    @property
    def extractor(self) -> nn.Module:
        """CNN that computes the features."""
        return self.maps

    def features(self, clips: Tensor) -> Tensor:
        """Compute (N, T, D) features, one vector per frame, of (N, C, T, H, W) clips."""
        with torch.no_grad() if self.frozen else nullcontext():
            maps = self.maps(clips)  # (N·T, D, H', W')
            pooled: Tensor = self.average(maps)
            return pooled.reshape(clips.shape[0], clips.shape[2], -1)

    def score_features(self, features: Tensor) -> Tensor:
        """Compute (N, T, K) scores at each frame from the features up to it."""
        states, _ = self.recurrent(features)  # (N, T, hidden)
        scores: Tensor = self.last(states)
        return scores
