"""`early_fusion`: a 2D network over the frames of a clip, stacked as channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from flowstream.models.backbones.image_cnn import ImageClassifier, ImageCNN
from flowstream.models.model import ClipShape


@dataclass(frozen=True)
class EarlyFusion(ImageCNN):
    """Temporal stream of two-stream networks: flow is stacked as dx0 dy0 dx1 dy1 ...

    `ImageCNN` documents the options.
    """

    name: ClassVar[str] = "early_fusion"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Karpathy et al. 2014, doi:10.1109/CVPR.2014.223, section 3.1; on flow: "
        "Simonyan & Zisserman 2014, arXiv:1406.2199, section 3"
    )

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> StackedFrames:
        """Build the network for clips of one shape and K classes."""
        parts = self.build_network(clip, classes, frames=clip.frames, blank=blank)
        return StackedFrames(clip, classes, parts=parts)


class StackedFrames(ImageClassifier):
    """Network that stacks the frames of a clip as channels."""

    def score(self, clips: Tensor) -> Tensor:
        """Compute (N, K) scores of the (N, T·C, H, W) images."""
        images = clips.transpose(1, 2).flatten(1, 2)
        scores: Tensor = self.network(images)
        return scores
