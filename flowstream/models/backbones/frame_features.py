"""Networks that compute maps of each frame and classify all of them together."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from flowstream.models.layers.feature_maps import compute_map_shape, make_map_network
from flowstream.models.layers.folding import fold
from flowstream.models.model import ClipShape, VideoClassifier


class MakeClassifier(Protocol):
    """Function that builds a network from `(N, D, T, H', W')` maps to `(N, K)` scores."""

    def __call__(self, channels: int, rows: int, columns: int) -> nn.Sequential:
        """Build the network for maps of D channels and H' x W' positions."""


class FrameFeatures(VideoClassifier):
    """Network that computes 2D maps of each frame, then classifies them together.

    Parameters
    ----------
    clip : ClipShape
    classes : int
        Number of classes K.
    trunk : torch.nn.Module
        2D classifier, of which only the convolutional part is used.
    classifier : function of channels, rows, columns
        Builds the classifier for the shape of the maps.
    """

    def __init__(
        self, clip: ClipShape, classes: int, *, trunk: nn.Module, classifier: MakeClassifier
    ) -> None:
        super().__init__(clip, classes)
        self.maps = make_map_network(trunk)
        self.classifier = classifier(*compute_map_shape(self.maps, clip.lengths))

    @property
    def head(self) -> nn.Module:
        """Classifier of the maps."""
        return self.classifier

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores of the maps of all frames together."""
        frames = fold(clips)
        maps: Tensor = self.maps(frames)  # (N·T, D, H', W')
        maps = maps.reshape(clips.shape[0], self.clip.frames, *maps.shape[1:]).transpose(1, 2)
        scores: Tensor = self.classifier(maps)  # of (N, D, T, H', W')
        return scores
