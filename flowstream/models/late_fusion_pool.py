"""`late_fusion_pool`: 2D maps of each frame, averaged over space and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from flowstream.models.backbones.frame_features import FrameFeatures
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.model import ClipShape


@dataclass(frozen=True)
class LateFusionPool(ImageCNN):
    """2D network for all frames, whose maps are averaged over space and time.

    The average loses the order of frames. `ImageCNN` documents the options.
    """

    name: ClassVar[str] = "late_fusion_pool"
    sees_order: ClassVar[bool] = False
    paper: ClassVar[str] = "Yue-Hei Ng et al. 2015, arXiv:1503.08909, section 3.1 (average pooling)"

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> FrameFeatures:
        """Build the network for clips of one shape and K classes."""

        def classifier(channels: int, rows: int, columns: int) -> nn.Sequential:
            return nn.Sequential(
                nn.AdaptiveAvgPool3d(1),
                nn.Flatten(),
                nn.Dropout(self.dropout),
                nn.Linear(channels, classes),
            )

        trunk = self.build_trunk(clip, frames=1, blank=blank)
        return FrameFeatures(clip, classes, trunk=trunk, classifier=classifier)
