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
    """Borda count: sum of the ranks of each class over the streams.

    It ignores the confidence of a stream, so an overconfident stream does no harm (Ho et al.
    1994, doi:10.1109/34.273716). Equal scores get the mean of their ranks. If two classes have
    equal sums, the mean of the probabilities decides.
    """

    name: ClassVar[str] = "rank"

    def fit(self, parts: Sequence[Scores]) -> FittedRank:
        """Return the count over these streams; nothing is fitted."""
        return fit_nothing(FittedRank, parts)


@dataclass(frozen=True, eq=False)
class FittedRank(FittedFusion):
    """Borda count over known streams."""

    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share (N, K) that each class has of all points."""
        lower = (scores[..., None, :] < scores[..., None]).sum(axis=-1)
        equal = (scores[..., None, :] == scores[..., None]).sum(axis=-1)
        points = (lower + (equal - 1) / 2).sum(axis=0)
        # less than half a point, so that it only decides ties
        points = points + 0.25 * scores.mean(axis=0)
        fused: NDArray[np.float64] = points / points.sum(axis=1, keepdims=True)
        return fused
