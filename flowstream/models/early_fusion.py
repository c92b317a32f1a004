"""`early_fusion`: the frames of a clip as channels of one image, then a 2D network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from flowstream.models.backbones.image_cnn import ImageClassifier, ImageCNN
from flowstream.models.model import ClipShape


@dataclass(frozen=True)
class EarlyFusion(ImageCNN):
    """The temporal stream of two-stream networks where the clip is flow: dx0 dy0 dx1 dy1 ...

    See `ImageCNN` for its options.
    """

    name: ClassVar[str] = "early_fusion"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Karpathy et al. 2014, doi:10.1109/CVPR.2014.223, section 3.1; on flow: "
        "Simonyan & Zisserman 2014, arXiv:1406.2199, section 3"
    )

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> StackedFrames:
        """The network for clips of one shape and K classes."""
        parts = self.network(clip, classes, frames=clip.frames, blank=blank)
        return StackedFrames(clip, classes, parts=parts)


class StackedFrames(ImageClassifier):
    """Scores of a clip whose frames are channels, one after the other."""

    def score(self, clips: Tensor) -> Tensor:
        """(N, K) scores of the (N, T·C, H, W) images."""
        images = clips.transpose(1, 2).flatten(1, 2)
        scores: Tensor = self.network(images)
        return scores
