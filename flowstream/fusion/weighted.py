"""Weighted mean of the probabilities, with given or fitted weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ScoresError
from flowstream.fusion.align import align, shorten
from flowstream.fusion.fusion import Fusion, check_may_learn
from flowstream.fusion.mixture import SMALLEST, Mixture, mix
from flowstream.scores import Scores

LARGEST_GRID = 11_000
"""Largest number of weights in a grid: 20 steps for five streams.

Measured: 45 s on one CPU core for 3,783 videos of 101 classes, UCF101's first test list.
"""


@dataclass(frozen=True)
class Weighted(Fusion):
    """Weighted mean of probabilities, with given weights or with weights from a grid search.

    Equal weights are always among the candidates.

    Of all weights whose top-1 is within one standard error of the best, those nearest to equal
    weights are chosen (the one-standard-error rule of Breiman et al. 1984, "Classification and
    Regression Trees", section 3.4.3): a few validation videos cannot remove a stream, thousands
    can. The log-loss decides between weights at the same distance.
    """

    name: ClassVar[str] = "weighted"

    weights: tuple[float, ...] | None = None
    """One for each stream, in the order given to `fit`; TSN takes (1.0, 1.5) (arXiv:1608.00859)."""
    steps: int = 20
    """Grid intervals from 0 to 1: 20 contain TSN's 0.4 : 0.6. Six streams or more get fewer."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ParameterError(f"steps: got {self.steps}, expected at least 1")
        if self.weights is None:
            return
        if any(not math.isfinite(weight) or weight < 0 for weight in self.weights):
            raise ParameterError(f"weights: got {self.weights}, expected numbers of 0 or more")
        if sum(self.weights) <= 0:
            raise ParameterError(f"weights: got {self.weights}, expected at least one above 0")

    def fit(self, parts: Sequence[Scores]) -> Mixture:
        """Choose the weights on these parts, which must not be test scores."""
        aligned = align(parts)
        streams = tuple(part.stream for part in aligned)
        if self.weights is not None and len(self.weights) != len(streams):
            raise ScoresError(
                f"fusion 'weighted' has {len(self.weights)} weights for {len(streams)} streams "
                f"({shorten(streams)}); give one for each stream"
            )
        weights = self._search(aligned) if self.weights is None else self.weights
        total = sum(weights)
        return Mixture(streams, aligned[0].part, tuple(weight / total for weight in weights))

    def _search(self, aligned: Sequence[Scores]) -> tuple[float, ...]:
        first = aligned[0]
        check_may_learn(self.name, aligned)
        probabilities = np.stack([part.scores for part in aligned])
        equal = 1 / len(aligned)

        def mixed(weights: tuple[float, ...]) -> NDArray[np.floating]:
            return mix(probabilities, weights, mean="arithmetic")

        grid = [(equal,) * len(aligned), *_simplex(len(aligned), self._steps(len(aligned)))]
        count = len(first.labels)
        right = [int((mixed(weights).argmax(1) == first.labels).sum()) for weights in grid]
        best = max(right) / count
        # standard error of a fraction of `count` trials; 0 if the best weights make no error
        error = math.sqrt(best * (1 - best) / count)

        # Both are rounded, so that streams with equal scores tie despite rounding errors.
        def distance(weights: tuple[float, ...]) -> float:
            return round(sum((weight - equal) ** 2 for weight in weights), 9)

        def loss(weights: tuple[float, ...]) -> float:
            return round(log_loss(mixed(weights), first.labels), 9)

        near = [
            weights
            for weights, hits in zip(grid, right, strict=True)
            if hits / count >= best - error - 1e-12
        ]
        closest = min(map(distance, near))
        return min((weights for weights in near if distance(weights) == closest), key=loss)

    def _steps(self, streams: int) -> int:
        """Return `steps`, or fewer where many streams would make the grid large."""
        steps = self.steps
        while steps > 1 and math.comb(steps + streams - 1, streams - 1) > LARGEST_GRID:
            steps -= 1
        return steps


def log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the mean of -log of the probability (N, K) of each video's true class, in nats.

    Summed exactly, so that the order of the videos does not matter.
    """
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -math.fsum(np.log(np.maximum(own, SMALLEST))) / max(len(labels), 1)


def _simplex(streams: int, steps: int) -> Iterator[tuple[float, ...]]:
    """Yield every tuple of multiples of 1 / steps, one for each stream, that sums to 1."""

    def counts(left: int, places: int) -> Iterator[tuple[int, ...]]:
        if places == 1:
            yield (left,)
            return
        for here in range(left + 1):
            for rest in counts(left - here, places - 1):
                yield (here, *rest)

    for count in counts(steps, streams):
        yield tuple(value / steps for value in count)
