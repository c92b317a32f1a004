"""What the late fusion models have in common: maps of each frame, then a classifier of them all."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from flowstream.models.layers.feature_maps import feature_maps, map_shape
from flowstream.models.layers.folding import fold
from flowstream.models.model import ClipShape, VideoClassifier


class MakeClassifier(Protocol):
    """Makes a network from `(N, D, T, H', W')` maps to `(N, K)` scores."""

    def __call__(self, channels: int, rows: int, columns: int) -> nn.Sequential:
        """The network for maps of D channels and H' x W' places."""


class FrameFeatures(VideoClassifier):
    """A 2D network on each frame by itself, then a classifier of all their maps.

    Parameters
    ----------
    clip, classes : what it is built for
    trunk : a 2D classifier whose convolutional part is used
    classifier : makes the classifier for the shape of the maps
    """

    def __init__(
        self, clip: ClipShape, classes: int, *, trunk: nn.Module, classifier: MakeClassifier
    ) -> None:
        super().__init__(clip, classes)
        self.maps = feature_maps(trunk)
        self.classifier = classifier(*map_shape(self.maps, clip.lengths))

    @property
    def head(self) -> nn.Module:
        """What comes after the features."""
        return self.classifier

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) scores of the maps of all frames together."""
        frames = fold(clips)
        maps: Tensor = self.maps(frames)  # (N·T, D, H', W')
        maps = maps.reshape(len(clips), self.clip.frames, *maps.shape[1:]).transpose(1, 2)
        scores: Tensor = self.classifier(maps)  # of (N, D, T, H', W')
        return scores
