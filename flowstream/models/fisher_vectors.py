"""`fisher_vectors`: Fisher vectors of local motion descriptors, and a linear classifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.camera_motion import estimate_camera_motion
from flowstream.models.layers.export import split_unless_exporting
from flowstream.models.layers.fisher import FisherEncoder, normalise
from flowstream.models.layers.head import check_dropout
from flowstream.models.layers.motion_votes import (
    BINS,
    FLOW_PARTS,
    mirror_votes,
    vote_boundaries,
    vote_motion,
)
from flowstream.models.model import (
    HALF_TO_ONE,
    ClipShape,
    Model,
    PixelStatistics,
    VectorClassifier,
)
from flowstream.ranges import check_at_least, check_between, check_positive

BLOCKS = 3
"""Blocks of successive fields in a descriptor; Wang & Schmid 2013 have 3 of 5 fields."""

CELL = 4
"""Pixels along the side of the smallest cell, at half size."""

SCALES = (1, 2)
"""Cells of a descriptor are 2 and 4 of the smallest cells along a side."""

_AT_ONCE = 15  # fields whose votes are in memory together
_UNIT_SUM = 1e-2  # pixels per pixel; descriptors of less motion than that get short
_LEAST_WEIGHT = 1e-3  # of descriptors that are still, so that still clips have features, too
_DESCRIPTORS = 600  # of a training clip and its mirror image, for the vocabulary
_TUBES = 3  # of those of a training clip, for the vocabulary


@dataclass(frozen=True)
class FisherVectors(Model):
    """Fisher vectors of histograms of flow and motion boundaries, for data of few clips.

    The descriptors of improved trajectories (Wang & Schmid 2013) on a dense grid: the camera's
    motion is removed from each field; 2x2 cells of 3 blocks of fields have histograms of the
    orientations of flow (HOF) and of the gradients of its components (MBHx, MBHy), square rooted.
    Descriptors of each kind, where something moves, become one Fisher vector for the clip, which
    does not depend on where in the frame the motion is. The vocabulary is learnt from the
    training clips by the trainer "linear", which this model needs.

    A descriptor covers a tube of `3 * block` successive fields, and a tube begins every `block`
    fields. The defaults were chosen by cross-validation on 82 training clips of UCF101, with folds
    that are cut where the numbers of the groups have gaps: 85 %, against 59 % with 64 words, blocks
    of 5 fields and separate tubes; see docs/results.md.

    Clips of another number of channels than 2 have only the gradients of each channel.

    Parameters
    ----------
    words : int
        Gaussians of the vocabulary of each kind of descriptor. Few words suit few clips; Wang &
        Schmid 2013 have 256, for thousands of clips.
    block : int
        Fields whose histograms are added; Wang & Schmid 2013 have 5.
    run : int
        Fields of a clip that follow one another in the video, as in the recipe; 0 means all. A tube
        lies within one run.
    unit : float
        Pixels of flow that are 1 in the clips: the `bound` of the recipe.
    still : float
        Pixels of flow below which a vector counts as still (Wang & Schmid 2013).
    moving : float
        Least fraction of pixels that move in a descriptor that is used.
    dropout : float
        Fraction of features that is dropped when the linear layer is trained by gradients.
    """

    name: ClassVar[str] = "fisher_vectors"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Wang & Schmid 2013, doi:10.1109/ICCV.2013.441; Perronnin et al. 2010, "
        "doi:10.1007/978-3-642-15561-1_11"
    )
    has_vectors: ClassVar[bool] = True

    words: int = 4
    block: int = 10
    run: int = 0
    unit: float = 20.0
    still: float = 0.4
    moving: float = 0.15
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_between("words", self.words, (1, 4096))
        check_at_least("block", self.block, 1)
        check_at_least("run", self.run, 0)
        if self.run:
            check_at_least("run", self.run, BLOCKS * self.block)
        check_positive("unit", self.unit)
        check_positive("still", self.still)
        check_between("moving", self.moving, (0, 1))
        check_dropout(self.dropout)

    @property
    def pixels(self) -> PixelStatistics:
        """-1 to 1: RGB has no weights to fit."""
        return HALF_TO_ONE

    @property
    def min_clip(self) -> tuple[int, int, int]:
        """One tube, with one descriptor of the smaller scale."""
        return (BLOCKS * self.block, 8 * CELL, 8 * CELL)

    @property
    def has_frozen_features(self) -> bool:
        """True: nothing before the linear layer is trained by gradients."""
        return True

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> FisherClassifier:
        """Return the network for clips of one shape and K classes."""
        self.check_size(clip)
        if self.run and clip.frames % self.run:
            raise ParameterError(f"run: got {self.run}, expected a divisor of {clip.frames} fields")
        return FisherClassifier(clip, classes, extractor=MotionFisher(self, clip.channels))


class FisherClassifier(VectorClassifier):
    """Fisher vectors of a clip, then a linear layer."""

    has_vocabulary: ClassVar[bool] = True

    def __init__(self, clip: ClipShape, classes: int, *, extractor: MotionFisher) -> None:
        super().__init__(clip, classes)
        self.fisher = extractor
        self.dropout = nn.Dropout(extractor.options.dropout)
        self.linear = nn.Linear(extractor.width, classes)

    @property
    def extractor(self) -> nn.Module:
        """The Fisher vectors, whose vocabulary is learnt without labels."""
        return self.fisher

    def describe(self, clips: Tensor) -> list[Tensor]:
        """Return the descriptors of some tubes of the clips and of their mirror images."""
        return self.fisher.describe_tubes(clips)

    def learn_vocabulary(self, described: Iterable[list[Tensor]]) -> None:
        """Learn the vocabulary of each kind of descriptor from those of training clips."""
        self.fisher.learn(described)

    def features(self, clips: Tensor) -> Tensor:
        """Return the (N, 1, D) features of (N, C, T, H, W) clips."""
        with torch.no_grad():
            vectors: Tensor = self.fisher(clips)
        return vectors.unsqueeze(1)


class MotionFisher(nn.Module):
    """Features (N, D) of clips (N, C, T, H, W); see `FisherVectors`."""

    def __init__(self, options: FisherVectors, channels: int) -> None:
        super().__init__()
        self.options = options
        self.is_flow = channels == 2
        self.parts = FLOW_PARTS if self.is_flow else (BINS,) * channels
        sizes = [4 * BLOCKS * bins for bins in self.parts]
        encoders = [FisherEncoder(size, options.words) for size in sizes]
        self.encoders = nn.ModuleList(encoders)
        self.width = sum(encoder.width for encoder in encoders)

    def extra_repr(self) -> str:
        """Return the options: they decide the features."""
        return repr(self.options)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the features (N, D): the mean of those of the clip and its mirror image."""
        cells = self.count_cells(clips)
        views = [self.describe(cells), self.describe(self._mirror(cells))]
        vectors = []
        for index, encoder in enumerate(self.encoders):
            both = [encoder(kinds[index], weights) for kinds, weights in views]
            vectors.append(normalise(both[0] + both[1]))
        return torch.cat(vectors, dim=1)

    @torch.no_grad()
    def describe_tubes(self, clips: Tensor) -> list[Tensor]:
        """Return descriptors (N, M, D) of each kind and weights (N, M) of some tubes.

        Those of the mirrored clips follow.
        """
        cells = self.count_cells(self._take_tubes(clips), run=BLOCKS * self.options.block)
        views = [self.describe(cells), self.describe(self._mirror(cells))]
        return [one.cpu() for kinds, weights in views for one in (*kinds, weights)]

    def learn(self, described: Iterable[list[Tensor]]) -> None:
        """Learn the vocabularies from `describe_tubes` of clips: some descriptors, at random."""
        generator = torch.Generator().manual_seed(0)
        found: list[list[Tensor]] = [[] for _ in self.parts]
        size = len(self.parts) + 1
        for tensors in described:
            for view in (tensors[:size], tensors[size:]):
                for row, chances in enumerate(view[-1].double()):
                    count = min(_DESCRIPTORS // 2, len(chances))
                    chosen = torch.multinomial(chances, count, generator=generator)
                    for own, kind in zip(found, view[:-1], strict=True):
                        own.append(kind[row][chosen])
        for own, encoder in zip(found, self.encoders, strict=True):
            encoder.learn(torch.cat(own).numpy())  # type: ignore[operator]

    def count_cells(self, clips: Tensor, *, run: int | None = None) -> Tensor:
        """Return the votes (N, runs, blocks, P, rows, columns) in the smallest cells of clips."""
        block, length = self.options.block, clips.shape[2]
        run = run or self.options.run or length
        used = run // block * block
        series = clips.transpose(1, 2)
        fields = series.reshape(series.shape[0], length // run, run, *series.shape[2:])[:, :, :used]
        # (N, runs, T, C, H, W)
        flat = fields.flatten(0, 2)
        votes = torch.cat([self._count_votes(p) for p in split_unless_exporting(flat, _AT_ONCE)])
        grouped = votes.reshape(*fields.shape[:2], used // block, block, *votes.shape[1:])
        return grouped.mean(dim=3)

    def describe(self, cells: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return descriptors (N, M, D) of each kind and their weights (N, M)."""
        kinds: list[list[Tensor]] = [[] for _ in self.parts]
        weights = []
        flat = cells.flatten(0, 2)
        for scale in SCALES:
            if min(flat.shape[-2:]) < 4 * scale:
                continue  # frames too small for the larger descriptors
            joined = _join_cells(flat, scale)
            joined = joined.reshape(*cells.shape[:3], *joined.shape[1:])
            # (N, runs, tubes, 4, P, rows, columns, blocks)
            joined = joined.unfold(2, BLOCKS, 1).flatten(1, 2)
            joined = joined.permute(0, 1, 4, 5, 2, 6, 3)  # (N, tubes, rows, columns, 4, blocks, P)
            if self.is_flow:
                moving = 1 - joined[..., BINS].mean(dim=(4, 5))
                used = (moving - self.options.moving).sign().clamp(min=0)
                weights.append((_LEAST_WEIGHT + (1 - _LEAST_WEIGHT) * used).flatten(1))
            else:
                weights.append(torch.ones_like(joined[..., 0, 0, 0]).flatten(1))
            for own, part in zip(kinds, torch.split(joined, list(self.parts), dim=-1), strict=True):
                vectors = part.flatten(4).flatten(1, 3)
                total = vectors.sum(dim=2, keepdim=True) + _UNIT_SUM
                own.append((vectors.clamp(min=0) / total).sqrt())
        return [torch.cat(own, dim=1) for own in kinds], torch.cat(weights, dim=1)

    def _count_votes(self, fields: Tensor) -> Tensor:
        """Return the mean votes (N, P, rows, columns) in the cells of fields (N, C, H, W)."""
        # half size: a quarter of the work, and less noise from compression in the gradients
        fields = nn.functional.avg_pool2d(fields, 2)
        if not self.is_flow:
            votes = vote_boundaries(fields)
        else:
            fields = fields * self.options.unit
            votes = vote_motion(fields - estimate_camera_motion(fields), still=self.options.still)
        return torch.cat([nn.functional.avg_pool2d(vote, CELL) for vote in votes], dim=1)

    def _mirror(self, cells: Tensor) -> Tensor:
        parts = torch.split(cells, list(self.parts), dim=3)
        # of flow's parts, MBHx alone keeps its x and changes its y
        negated = ["y" if self.is_flow and index == 1 else "x" for index in range(len(parts))]
        mirrored = [mirror_votes(part, negate=n) for part, n in zip(parts, negated, strict=True)]
        return torch.cat(mirrored, dim=3)

    def _take_tubes(self, clips: Tensor) -> Tensor:
        """Return a few tubes of the clips, evenly spread."""
        block, length = self.options.block, BLOCKS * self.options.block
        run = self.options.run or clips.shape[2]
        starts = [
            first + start
            for first in range(0, clips.shape[2], run)
            for start in range(0, run - length + 1, block)
        ]
        places = np.linspace(0, len(starts) - 1, _TUBES).round().astype(int)
        chosen = [starts[index] for index in sorted(set(places.tolist()))]
        return torch.cat([clips[:, :, start : start + length] for start in chosen], dim=2)


def _join_cells(cells: Tensor, scale: int) -> Tensor:
    """Return the 2x2 cells (F, 4, P, rows, columns) of descriptors, from the smallest cells."""
    pooled = nn.functional.avg_pool2d(cells, 2 * scale, stride=2)
    first, last = slice(None, -scale), slice(scale, None)
    corners = [pooled[..., down, right] for down in (first, last) for right in (first, last)]
    return torch.stack(corners, dim=1)
