"""Weighted product of the probabilities with fitted exponents, which calibrate and fuse."""

from __future__ import annotations

import math
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

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LogLinear(Fusion):
    """Product of the streams' probabilities, each with its own exponent.

    This is the logarithmic opinion pool (Genest & Zidek 1986, doi:10.1214/ss/1177013825). The
    exponents are not negative and minimise the log-loss on held-out videos. An overconfident or
    poor stream therefore gets a small exponent, and 0 removes it. The exponents need not sum to 1:
    their sum is the inverse of a common temperature.

    Held-out videos are more similar to the training videos than new videos are, and a weaker stream
    with too much weight makes the fusion worse than the best stream alone. Therefore the candidates
    are all mixtures between the best stream alone and the exponents that fit best. Of those whose
    loss is within `caution` standard errors of the lowest loss, the one nearest to the best stream
    is chosen (the one-standard-error rule; Breiman et al. 1984, "Classification and Regression
    Trees", section 3.4.3). The other streams are used only if the gain is larger than its error.
    If the best stream is not better than the second best by more than `caution` standard errors,
    the exponents that fit best are used, because the choice of the best would be chance.

    Parameters
    ----------
    prior : float
        Weight of the prior towards equal exponents that sum to 1, as a number of videos: with as
        many videos, data and prior have the same weight.
    caution : float
        Number of standard errors; 0 selects the exponents that fit best. The standard error is that
        of the difference of two losses over independent groups of videos, so it is small if there
        are many videos.
    """

    name: ClassVar[str] = "log_linear"

    prior: float = 5.0
    caution: float = 1.0

    def __post_init__(self) -> None:
        check_at_least("prior", self.prior, 0)
        check_at_least("caution", self.caution, 0)

    def fit(self, parts: Sequence[Scores]) -> FittedLogLinear:
        """Fit the exponents on these parts, which may not be test scores."""
        aligned = align(parts)
        check_may_learn(self.name, aligned)
        streams = tuple(part.stream for part in aligned)
        logs = take_logs(np.stack([part.scores for part in aligned]).astype(np.float64))
        exponents = self._fit_exponents(logs, aligned[0].labels)
        if self.caution > 0 and len(streams) > 1:
            exponents = self._stay_near_best(logs, aligned[0], exponents)
        return FittedLogLinear(streams, aligned[0].part, tuple(map(float, exponents)))

    def _fit_exponents(self, logs: Array, labels: NDArray[np.integer]) -> Array:
        """Return the exponents of the least log-loss of the logarithms (streams, N, K)."""
        equal = np.full(len(logs), 1 / len(logs))
        rows = np.arange(len(labels))

        def loss(exponents: Array) -> tuple[float, Array]:
            fused = combine_logs(logs, exponents)
            own = logs[:, rows, labels]  # (streams, N)
            expected = (logs * fused).sum(axis=2)
            away = exponents - equal
            value = -np.log(np.maximum(fused[rows, labels], 1e-300)).sum()
            gradient = (expected - own).sum(axis=1) + self.prior * away
            return float(value + self.prior / 2 * away @ away), gradient

        found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=[(0, 20)] * len(equal))
        # all exponents are 0: a product without factors would not depend on the class
        exponents: Array = found.x if found.x.sum() > 1e-3 else equal
        return exponents

    def _stay_near_best(self, logs: Array, held: Scores, exponents: Array) -> Array:
        """Return the exponents nearest to the best stream alone, within `caution` errors."""
        alone = np.zeros((len(logs), len(logs)))
        for index in range(len(logs)):
            alone[index, index] = self._fit_exponents(logs[[index]], held.labels)[0]
        alone_losses = np.stack([compute_losses(logs, one, held.labels) for one in alone])
        first, second = np.argsort(alone_losses.mean(axis=1))[:2]
        behind = alone_losses[second] - alone_losses[first]
        if behind.mean() <= self.caution * compute_error(behind, held.groups):
            return exponents  # by chance, the other stream could be the best
        best: Array = alone[first]
        shares = np.linspace(0, 1, 21).tolist()
        path: list[Array] = [best + share * (exponents - best) for share in shares]
        losses = np.stack([compute_losses(logs, one, held.labels) for one in path])
        least = losses[int(np.argmin(losses.mean(axis=1)))]
        for one, loss in zip(path, losses, strict=True):
            excess = loss - least
            if excess.mean() <= self.caution * compute_error(excess, held.groups):
                return one
        return exponents


@dataclass(frozen=True, eq=False)
class FittedLogLinear(FittedFusion):
    """Product of probabilities with known exponents."""

    exponents: tuple[float, ...]

    def combine(self, scores: Array) -> Array:
        """Return the normalised product (N, K) of probabilities (streams, N, K)."""
        return combine_logs(take_logs(scores), np.array(self.exponents))

    def describe(self) -> Mapping[str, float]:
        """Return the exponent of each stream."""
        return dict(zip(self.streams, self.exponents, strict=True))


def compute_losses(logs: Array, exponents: Array, labels: NDArray[np.integer]) -> Array:
    """Return the log-loss (N,) of each video under the product with these exponents."""
    own = combine_logs(logs, exponents)[np.arange(len(labels)), labels]
    losses: Array = -np.log(np.maximum(own, SMALLEST))
    return losses


def compute_error(values: Array, groups: Sequence[str]) -> float:
    """Return the standard error of the mean of values (N,), whose groups are independent.

    This is the ratio estimator of cluster samples (Cochran 1977, "Sampling Techniques", section
    9A.2). Without groups, each value is a group. NaN if there are fewer than two groups.
    """
    numbers = np.unique(groups, return_inverse=True)[1] if groups else np.arange(len(values))
    sums = np.bincount(numbers, weights=values - values.mean())
    count = len(sums)
    if count < 2:
        return math.nan
    return math.sqrt(count / (count - 1) * float(sums @ sums)) / len(values)


def take_logs(scores: Array) -> Array:
    """Return the logarithms of probabilities, finite also for 0."""
    logs: Array = np.log(np.maximum(scores, SMALLEST))
    return logs


def combine_logs(logs: Array, exponents: Array) -> Array:
    """Return the softmax (N, K) of the weighted sum of logarithms (streams, N, K)."""
    summed = np.tensordot(exponents, logs, axes=1)
    powers = np.exp(summed - summed.max(axis=1, keepdims=True))
    fused: Array = powers / powers.sum(axis=1, keepdims=True)
    return fused
