"""The sum of the logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.fusion.fusion import FittedFusion, Fusion, fit_nothing
from flowstream.fusion.mixture import SMALLEST
from flowstream.scores import Scores


@dataclass(frozen=True)
class LogitSum(Fusion):
    """Softmax of the sum of the streams' logits, as in I3D (arXiv:1705.07750, section 3).

    Logits are recovered from probabilities up to a constant, which softmax ignores. The result is
    sharper than the product rule's mean of logits; both choose the same class.
    """

    name: ClassVar[str] = "logit_sum"

    def fit(self, parts: Sequence[Scores]) -> FittedLogitSum:
        """Return the sum of these streams; nothing is fitted."""
        return fit_nothing(FittedLogitSum, parts)


@dataclass(frozen=True, eq=False)
class FittedLogitSum(FittedFusion):
    """Sum of the logits of known streams."""

    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the softmax (N, K) of the summed logits."""
        logits = np.log(np.maximum(scores, SMALLEST)).sum(axis=0)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        fused: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return fused
