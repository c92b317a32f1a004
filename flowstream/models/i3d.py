"""`i3d`: a 2D network inflated to 3D, with its ImageNet weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flowstream.errors import ParameterError
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.layers.head import replace_head
from flowstream.models.layers.inflate import check_kernel, inflate
from flowstream.models.model import ClipShape
from flowstream.models.whole_classifier import WholeClassifier


@dataclass(frozen=True)
class I3D(ImageCNN):
    """Inflated backbone; two-stream I3D trains one on RGB and one on flow.

    `ImageCNN` documents the other options. For flow, the pretrained first layer is adapted to dx
    and dy (`layers.stem`) before it is inflated.

    Parameters
    ----------
    kernel : int
        Number of frames that each inflated convolution reads; I3D uses 3 for most.
    strides : tuple of int
        Stride in time at each part that halves the image, from the input. The default is the
        paper's, figure 3: the first convolution has stride 2 in time, the pools 2 and 3 have none,
        the pools 4 and 5 have stride 2. Empty keeps all frames to the end.

    Notes
    -----
    Inflated filters are equal at all frames. Sensitivity to the order of frames is learnt by all
    layers; a head that is trained alone has none.
    """

    name: ClassVar[str] = "i3d"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = "Carreira & Zisserman 2017, arXiv:1705.07750, section 2.4"

    kernel: int = 3
    strides: tuple[int, ...] = (2, 1, 1, 2, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernel(self.kernel)
        if any(not 1 <= stride <= 8 for stride in self.strides):
            raise ParameterError(f"strides: expected integers from 1 to 8, got {self.strides}")
        if self.kernel < 2:
            raise ParameterError(
                f"kernel: got {self.kernel}, expected at least 2 frames. For 1 frame use model "
                "'single_frame'"
            )

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> WholeClassifier:
        """Build the network for clips of one shape and K classes."""
        trunk = self.build_trunk(clip, frames=1, blank=blank)
        head = replace_head(trunk, classes=classes, dropout=self.dropout)
        network = inflate(trunk, self.kernel, strides=self.strides)
        return WholeClassifier(clip, classes, network=network, head=head)
