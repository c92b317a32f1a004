"""`single_frame`: a 2D network on each frame, scores averaged over the clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from flowstream.models.backbones.image_cnn import ImageClassifier, ImageCNN
from flowstream.models.layers.folding import fold
from flowstream.models.model import ClipShape


@dataclass(frozen=True)
class SingleFrame(ImageCNN):
    """The spatial stream of two-stream networks; with several frames, their scores are averaged.

    See `ImageCNN` for its options. On flow (C = 2) each field is scored by itself.
    """

    name: ClassVar[str] = "single_frame"
    sees_order: ClassVar[bool] = False
    paper: ClassVar[str] = "Simonyan & Zisserman 2014, arXiv:1406.2199, section 2"

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> FrameAverage:
        """The network for clips of one shape and K classes."""
        parts = self.network(clip, classes, frames=1, blank=blank)
        return FrameAverage(clip, classes, parts=parts)


class FrameAverage(ImageClassifier):
    """Scores of each frame, averaged."""

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) means over time of the scores of each frame."""
        frames = fold(clips)
        scores: Tensor = self.network(frames)
        return scores.reshape(len(clips), self.clip.frames, self.classes).mean(dim=1)
