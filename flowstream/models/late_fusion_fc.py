"""`late_fusion_fc`: 2D maps of each frame, flattened over space and time, then an MLP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from flowstream.models.backbones.frame_features import FrameFeatures
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.model import ClipShape
from flowstream.ranges import check_at_least


@dataclass(frozen=True)
class LateFusionFC(ImageCNN):
    """2D network for all frames, whose maps are flattened to one vector of length TDH'W'.

    The first layer of the MLP has a weight for each position and frame. It sees the order of
    frames, but does not generalise between frames, and is large. `ImageCNN` documents the other
    options.

    Parameters
    ----------
    hidden : int
        Number of units of the hidden layer of the MLP.
    """

    name: ClassVar[str] = "late_fusion_fc"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Karpathy et al. 2014, doi:10.1109/CVPR.2014.223, section 3.1"

    hidden: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("hidden", self.hidden, 1)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> FrameFeatures:
        """Build the network for clips of one shape and K classes."""

        def classifier(channels: int, rows: int, columns: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Flatten(),
                nn.Linear(clip.frames * channels * rows * columns, self.hidden),
                nn.ReLU(inplace=True),
                nn.Dropout(self.dropout),
                nn.Linear(self.hidden, classes),
            )

        trunk = self.build_trunk(clip, frames=1, blank=blank)
        return FrameFeatures(clip, classes, trunk=trunk, classifier=classifier)
