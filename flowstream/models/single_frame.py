"""`single_frame`: a 2D network on each frame, whose scores are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from flowstream.models.backbones.image_cnn import ImageClassifier, ImageCNN
from flowstream.models.layers.folding import fold
from flowstream.models.model import ClipShape


@dataclass(frozen=True)
class SingleFrame(ImageCNN):
    """Spatial stream of two-stream networks; the scores of several frames are averaged.

    `ImageCNN` documents the options. With flow (C = 2) each field is scored separately.
    """

    name: ClassVar[str] = "single_frame"
    sees_order: ClassVar[bool] = False
    paper: ClassVar[str] = "Simonyan & Zisserman 2014, arXiv:1406.2199, section 2"

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> FrameAverage:
        """Build the network for clips of one shape and K classes."""
        parts = self.build_network(clip, classes, frames=1, blank=blank)
        return FrameAverage(clip, classes, parts=parts)


class FrameAverage(ImageClassifier):
    """Network that averages the scores of all frames."""

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores: means over the scores of each frame."""
        frames = fold(clips)
        scores: Tensor = self.network(frames)
        return scores.reshape(clips.shape[0], self.clip.frames, self.classes).mean(dim=1)
