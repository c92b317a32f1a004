"""A weighted product of the probabilities, its exponents fitted: calibration and fusion in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from flowstream.fusion.align import align
from flowstream.fusion.fusion import FittedFusion, Fusion, check_may_learn
from flowstream.fusion.mixture import SMALLEST
from flowstream.ranges import check_at_least
from flowstream.scores import Scores


@dataclass(frozen=True)
class LogLinear(Fusion):
    """Product of the streams' probabilities, each to its own power.

    The logarithmic opinion pool (Genest & Zidek 1986, doi:10.1214/ss/1177013825). The exponents
    are not negative and minimise the log-loss on held-out videos, so an overconfident or a poor
    stream gets a small one, and 0 removes it. They need not sum to 1: their sum is the inverse of
    a common temperature.

    Parameters
    ----------
    prior : float
        Strength of the pull towards equal exponents that sum to 1, in videos: with as many
        videos, the data weigh as much as the prior.
    """

    name: ClassVar[str] = "log_linear"

    prior: float = 5.0

    def __post_init__(self) -> None:
        check_at_least("prior", self.prior, 0)

    def fit(self, parts: Sequence[Scores]) -> FittedLogLinear:
        """Fit the exponents on these parts, which may not be test scores."""
        aligned = align(parts)
        check_may_learn(self.name, aligned)
        streams = tuple(part.stream for part in aligned)
        logs = take_logs(np.stack([part.scores for part in aligned]).astype(np.float64))
        labels = aligned[0].labels
        equal = np.full(len(streams), 1 / len(streams))
        rows = np.arange(len(labels))

        def loss(exponents: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            fused = combine_logs(logs, exponents)
            own = logs[:, rows, labels]  # (streams, N)
            expected = (logs * fused).sum(axis=2)
            away = exponents - equal
            value = -np.log(np.maximum(fused[rows, labels], 1e-300)).sum()
            gradient = (expected - own).sum(axis=1) + self.prior * away
            return float(value + self.prior / 2 * away @ away), gradient

        found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=[(0, 20)] * len(equal))
        # streams that know nothing: the product without factors would have no class
        exponents = found.x if found.x.sum() > 1e-3 else equal
        return FittedLogLinear(streams, aligned[0].part, tuple(map(float, exponents)))


@dataclass(frozen=True, eq=False)
class FittedLogLinear(FittedFusion):
    """Product of probabilities to known powers."""

    exponents: tuple[float, ...]

    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the normalised product (N, K) of probabilities (streams, N, K)."""
        return combine_logs(take_logs(scores), np.array(self.exponents))

    def describe(self) -> Mapping[str, float]:
        """Return the exponent of each stream."""
        return dict(zip(self.streams, self.exponents, strict=True))


def take_logs(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of probabilities, finite also for 0."""
    logs: NDArray[np.float64] = np.log(np.maximum(scores, SMALLEST))
    return logs


def combine_logs(logs: NDArray[np.float64], exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax (N, K) of the weighted sum of logarithms (streams, N, K)."""
    summed = np.tensordot(exponents, logs, axes=1)
    powers = np.exp(summed - summed.max(axis=1, keepdims=True))
    fused: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return fused
