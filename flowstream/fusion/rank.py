"""The sum of the ranks (Borda count)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.fusion.fusion import FittedFusion, Fusion, fit_nothing
from flowstream.scores import Scores


@dataclass(frozen=True)
class Rank(Fusion):
    """Borda count: the classes of each stream in order, their ranks added up.

    It ignores the confidence of a stream, so an overconfident stream does no harm (Ho et al.
    1994, doi:10.1109/34.273716). Equal scores share the mean of their ranks; equal sums are
    decided by the mean of the probabilities.
    """

    name: ClassVar[str] = "rank"

    def fit(self, parts: Sequence[Scores]) -> FittedRank:
        """Return the count over these streams; nothing is learnt."""
        return fit_nothing(FittedRank, parts)


@dataclass(frozen=True, eq=False)
class FittedRank(FittedFusion):
    """Borda count over known streams."""

    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share (N, K) that each class has of all points."""
        lower = (scores[..., None, :] < scores[..., None]).sum(axis=-1)
        equal = (scores[..., None, :] == scores[..., None]).sum(axis=-1)
        points = (lower + (equal - 1) / 2).sum(axis=0)
        # less than half a point: it decides ties and nothing else
        points = points + 0.25 * scores.mean(axis=0)
        fused: NDArray[np.float64] = points / points.sum(axis=1, keepdims=True)
        return fused
