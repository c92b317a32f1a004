"""`late_fusion_fc`: features of each frame, flattened over space and time, then an MLP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.backbones.frame_features import FrameFeatures
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.model import ClipShape


@dataclass(frozen=True)
class LateFusionFC(ImageCNN):
    """One 2D network for all frames; its T x D x H' x W' maps become one vector of length TDH'W'.

    The first layer of the MLP has a weight for each place and moment, so it sees order but
    generalises to no other moment; it is also large. Other options as in `ImageCNN`.

    Parameters
    ----------
    hidden : int
        Width of the MLP's hidden layer.
    """

    name: ClassVar[str] = "late_fusion_fc"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Karpathy et al. 2014, doi:10.1109/CVPR.2014.223, section 3.1"

    hidden: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1:
            raise ParameterError(f"hidden: got {self.hidden}, expected at least 1")

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> FrameFeatures:
        """The network for clips of one shape and K classes."""

        def classifier(channels: int, rows: int, columns: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Flatten(),
                nn.Linear(clip.frames * channels * rows * columns, self.hidden),
                nn.ReLU(inplace=True),
                nn.Dropout(self.dropout),
                nn.Linear(self.hidden, classes),
            )

        trunk = self.trunk(clip, frames=1, blank=blank)
        return FrameFeatures(clip, classes, trunk=trunk, classifier=classifier)
