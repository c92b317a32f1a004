"""Classifier whose network maps clips to scores as a whole."""

from __future__ import annotations

from torch import Tensor, nn

from flowstream.models.model import ClipShape, VideoClassifier


class WholeClassifier(VideoClassifier):
    """Network that maps clips to scores as a whole, with its last layer somewhere inside.

    Parameters
    ----------
    clip : ClipShape
    classes : int
        Number of classes K.
    network : torch.nn.Module
        From (N, C, T, H, W) clips to (N, K) scores.
    head : torch.nn.Module
        The part of `network` that is trained alone with `layers = "head"`.
    """

    def __init__(
        self, clip: ClipShape, classes: int, *, network: nn.Module, head: nn.Module
    ) -> None:
        super().__init__(clip, classes)
        self.network = network
        self._head = (head,)  # in a tuple, so that it is not registered twice

    @property
    def head(self) -> nn.Module:
        """Dropout and last layer."""
        return self._head[0]

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores."""
        scores: Tensor = self.network(clips)
        return scores
