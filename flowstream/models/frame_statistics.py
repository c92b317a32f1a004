"""`frame_statistics`: features of each frame by a CNN; their mean and deviation over the clip."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.layers.export import is_exporting
from flowstream.models.layers.feature_maps import compute_map_shape, make_map_network
from flowstream.models.layers.folding import fold
from flowstream.models.model import ClipShape, VectorClassifier

_AT_ONCE = 4
"""Images that a frozen CNN processes together on a CPU.

EfficientNet-lite2 at 320x240 took 0.21 s of CPU for each of 20 images at once, half of it to map
memory, and 0.09 s for 4 at once with channels last.
"""


@dataclass(frozen=True)
class FrameStatistics(ImageCNN):
    """Linear classifier of statistics of a CNN's features, for data that are too few to train it.

    The CNN's maps are averaged over space. Their mean over the frames says what the scene shows,
    their standard deviation how much of it changes. A pretrained CNN is not trained; use the
    trainer "linear". Other options as in `ImageCNN`.

    Parameters
    ----------
    deviation : bool
        Add the standard deviation. Cross-validated accuracy on 82 clips of UCF101, with frames
        spread over the whole video: 88 % without it, 96 % with it.
    mirror : bool
        Average the features with those of the mirrored frames.
    unit : bool
        Scale the vector of each clip to length 1. Cross-validated accuracy on the same clips, folds
        cut at the gaps of the group numbers: 85.6 % without it, 87.2 % with it; the log-loss falls
        from 0.44 to 0.37.
    """

    name: ClassVar[str] = "frame_statistics"
    sees_order: ClassVar[bool] = False
    paper: ClassVar[str] = (
        "statistics pooling: Snyder et al. 2018, doi:10.1109/ICASSP.2018.8461375, section 3"
    )
    has_vectors: ClassVar[bool] = True

    deviation: bool = True
    mirror: bool = True
    unit: bool = True

    @property
    def has_frozen_features(self) -> bool:
        """True if the CNN is not trained."""
        return self.pretrained is not False

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> StatisticsClassifier:
        """Return the network for clips of one shape and K classes."""
        trunk = self.build_trunk(clip, frames=1, blank=blank)
        return StatisticsClassifier(clip, classes, trunk=trunk, options=self)


class StatisticsClassifier(VectorClassifier):
    """Features of each frame, their statistics, a linear layer."""

    def __init__(
        self, clip: ClipShape, classes: int, *, trunk: nn.Module, options: FrameStatistics
    ) -> None:
        super().__init__(clip, classes)
        self.maps = make_map_network(trunk)
        self.options = options
        width = compute_map_shape(self.maps, clip.lengths)[0] * (1 + options.deviation)
        self.dropout = nn.Dropout(options.dropout)
        self.linear = nn.Linear(width, classes)
        if options.has_frozen_features:
            self.freeze()

    @property
    def extractor(self) -> nn.Module:
        """The CNN."""
        return self.maps

    def features(self, clips: Tensor) -> Tensor:
        """Return the (N, 1, D) statistics of (N, C, T, H, W) clips."""
        views = [clips]
        if self.options.mirror:
            views.append(self._mirror(clips))
        with torch.no_grad() if self.frozen else nullcontext():
            vectors = torch.stack([self._summarise(view) for view in views]).mean(dim=0)
            if self.options.unit:
                vectors = nn.functional.normalize(vectors, dim=1)
        return vectors.unsqueeze(1)

    def _mirror(self, clips: Tensor) -> Tensor:
        """Return mirrored clips; the dx of flow changes its sign."""
        mirrored = clips.flip(-1)
        if self.clip.channels != 2:
            return mirrored
        return torch.cat([-mirrored[:, :1], mirrored[:, 1:]], dim=1)

    def _summarise(self, clips: Tensor) -> Tensor:
        images = fold(clips)  # (N·T, C, H, W)
        if self.frozen and images.device.type == "cpu" and not is_exporting():
            images = images.contiguous(memory_format=torch.channels_last)
            parts = torch.split(images, _AT_ONCE)
        else:
            parts = (images,)
        means = torch.cat([self.maps(part).mean(dim=(2, 3)) for part in parts])
        frames = means.reshape(clips.shape[0], -1, means.shape[1])  # (N, T, D)
        mean: Tensor = frames.mean(dim=1)
        if not self.options.deviation:
            return mean
        # the square root has no gradient at 0; frames that are alike have a deviation of 0
        deviation = (frames.var(dim=1, correction=0) + 1e-12).sqrt()
        return torch.cat([mean, deviation], dim=1)
