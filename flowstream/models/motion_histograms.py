"""`motion_histograms`: histograms of flow and of motion boundaries, and a linear classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.camera_motion import estimate_camera_motion
from flowstream.models.layers.export import split_unless_exporting
from flowstream.models.layers.head import check_dropout
from flowstream.models.layers.motion_votes import (
    BINS,
    FLOW_PARTS,
    mirror_votes,
    vote_boundaries,
    vote_motion,
)
from flowstream.models.model import (
    ClipShape,
    Model,
    VectorClassifier,
)
from flowstream.ranges import check_at_least, check_between, check_positive

_AT_ONCE = 16  # fields whose votes are in memory together: 10 MB at 120 x 160
_SMALLEST = 1e-6


@dataclass(frozen=True)
class MotionHistograms(Model):
    """Hand-crafted motion features of a whole clip, for data that are too few to learn filters.

    Each field gives a histogram of its orientations (HOF) and one of the gradients of each of its
    components (MBHx, MBHy), in the cells of two grids, of the field as it is and without the
    camera's motion. The histograms of `block` successive fields are added, normalised and square
    rooted as by Wang & Schmid 2013; their mean and their standard deviation over the clip are the
    features. The vectors before the linear layer have no trained parameters: train it with the
    trainer "linear".

    Clips of another number of channels than 2 have only the gradients of each channel.

    Parameters
    ----------
    grid : "COLUMNSxROWS"
        Cells of the finer grid, both even; the coarser has half as many along each side. 8x6 had
        the best cross-validated accuracy on 82 clips of UCF101 (with 4x3 alone 2 points less, with
        2x2 15 points less).
    block : int
        Fields whose histograms are added. Wang & Schmid 2013: 5.
    unit : float
        Pixels of flow that are 1 in the clips: the `bound` of the recipe.
    still : float
        Pixels of flow below which a vector counts as still, in a bin of its own (Wang & Schmid
        2013).
    mirror : bool
        Average the features with those of the mirrored clip, so that left and right are one.
    dropout : float
        Fraction of features that is dropped when the linear layer is trained by gradients.
    """

    name: ClassVar[str] = "motion_histograms"
    sees_order: ClassVar[bool] = False
    paper: ClassVar[str] = (
        "Dalal et al. 2006, doi:10.1007/11744047_33; Wang & Schmid 2013, doi:10.1109/ICCV.2013.441"
    )
    has_vectors: ClassVar[bool] = True

    grid: tuple[int, int] = (6, 8)
    block: int = 5
    unit: float = 20.0
    still: float = 0.4
    mirror: bool = True
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for side in self.grid:
            check_between("grid", side, (2, 100))
            if side % 2:
                raise ParameterError(f"grid: expected even sides, got {side}")
        check_at_least("block", self.block, 1)
        check_positive("unit", self.unit)
        check_positive("still", self.still)
        check_dropout(self.dropout)

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """One block of fields, with two pixels for each cell along each side."""
        return (self.block, 4 * self.grid[0], 4 * self.grid[1])

    @property
    def has_frozen_features(self) -> bool:
        """True: nothing before the linear layer is trained."""
        return True

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> HistogramClassifier:
        """Return the network for clips of one shape and K classes."""
        self.check_size(clip)
        return HistogramClassifier(clip, classes, extractor=Histograms(self, clip.channels))


class HistogramClassifier(VectorClassifier):
    """Motion histograms of a clip, then a linear layer."""

    def __init__(self, clip: ClipShape, classes: int, *, extractor: Histograms) -> None:
        super().__init__(clip, classes)
        self.histograms = extractor
        self.dropout = nn.Dropout(extractor.options.dropout)
        self.linear = nn.Linear(extractor.width, classes)

    @property
    def extractor(self) -> nn.Module:
        """The histograms, which have no parameters."""
        return self.histograms

    def features(self, clips: Tensor) -> Tensor:
        """Return the (N, 1, D) features of (N, C, T, H, W) clips."""
        with torch.no_grad():
            vectors: Tensor = self.histograms(clips)
        return vectors.unsqueeze(1)


class Histograms(nn.Module):
    """Features (N, D) of clips (N, C, T, H, W); see `MotionHistograms`."""

    def __init__(self, options: MotionHistograms, channels: int) -> None:
        super().__init__()
        self.options = options
        self.is_flow = channels == 2
        kinds = 2 * (BINS * 2 + BINS + 1) if self.is_flow else BINS * channels
        rows, columns = options.grid
        self.width = 2 * kinds * (rows * columns + rows * columns // 4)

    def extra_repr(self) -> str:
        """Return the options: they decide the features."""
        return repr(self.options)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the features (N, D)."""
        count, channels, frames = clips.shape[:3]
        fields = clips.transpose(1, 2).flatten(0, 1)  # (N·T, C, H, W)
        cells = torch.cat([self.count_votes(p) for p in split_unless_exporting(fields, _AT_ONCE)])
        # (N, T, P, rows, columns) -> blocks; overlapping by one field where T is no multiple
        cells = cells.reshape(count, frames, *cells.shape[1:]).flatten(2).transpose(1, 2)
        blocks = max(1, round(frames / self.options.block))
        cells = nn.functional.adaptive_avg_pool1d(cells, blocks).transpose(1, 2)
        cells = cells.reshape(
            count, blocks, -1, *self.options.grid
        )  # (N, blocks, P, rows, columns)
        views = [cells, self._mirror(cells, channels)] if self.options.mirror else [cells]
        return torch.stack([self._summarise(view, channels) for view in views]).mean(dim=0)

    def count_votes(self, fields: Tensor) -> Tensor:
        """Return the histograms (N, P, rows, columns) of fields (N, C, H, W)."""
        # half size: a quarter of the work, and less noise from compression in the gradients
        fields = nn.functional.avg_pool2d(fields, 2)
        if not self.is_flow:
            votes = vote_boundaries(fields)
        else:
            fields = fields * self.options.unit
            still_camera = fields - estimate_camera_motion(fields)
            still = self.options.still
            views = (fields, still_camera)
            votes = [vote for view in views for vote in vote_motion(view, still=still)]
        pooled = [nn.functional.adaptive_avg_pool2d(vote, self.options.grid) for vote in votes]
        return torch.cat(pooled, dim=1)

    def _parts(self, channels: int) -> list[int]:
        """Return the number of bins of each histogram."""
        return [*FLOW_PARTS] * 2 if self.is_flow else [BINS] * channels

    def _mirror(self, cells: Tensor, channels: int) -> Tensor:
        """Return the histograms (N, blocks, P, rows, columns) of the mirrored clip."""
        mirrored = []
        for index, part in enumerate(torch.split(cells, self._parts(channels), dim=2)):
            negate = "y" if self.is_flow and index % 3 == 1 else "x"
            mirrored.append(mirror_votes(part, negate=negate))
        return torch.cat(mirrored, dim=2)

    def _summarise(self, cells: Tensor, channels: int) -> Tensor:
        """Return mean and deviation over the blocks of normalised histograms: (N, D)."""
        rooted = []
        for part in torch.split(cells, self._parts(channels), dim=2):
            coarse = nn.functional.avg_pool2d(part.flatten(0, 1), 2)
            coarse = coarse.reshape(*part.shape[:2], *coarse.shape[1:])
            for grid in (part, coarse):
                flat = grid.flatten(2)
                total = flat.sum(dim=2, keepdim=True) / grid[0, 0, 0].numel()
                rooted.append((flat / (total + _SMALLEST) / grid[0, 0, 0].numel()).sqrt())
        every = torch.cat(rooted, dim=2)  # (N, blocks, D / 2)
        return torch.cat([every.mean(dim=1), every.std(dim=1, correction=0)], dim=1)
