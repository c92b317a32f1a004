"""The weighted mean of the probabilities, its weights given or chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ScoresError
from flowstream.fusion.align import align, listed
from flowstream.fusion.mixture import SMALLEST, Fusion, Mixture, mix
from flowstream.scores import Scores

MOST = 11_000
"""Weights of a grid at most: 20 steps for five streams.

Measured: 45 s of a CPU for 3,783 videos of 101 classes, UCF101's first test list.
"""


@dataclass(frozen=True)
class Weighted(Fusion):
    """The weighted mean of probabilities, its weights searched on a grid unless they are given.

    Equal weights are always among those tried.

    Of all weights whose top-1 is within one standard error of the best, those nearest to equal
    weights are taken (the one-standard-error rule of Breiman et al. 1984, "Classification and
    Regression Trees", section 3.4.3): a handful of validation videos cannot argue a stream away,
    thousands can. The log-loss decides between weights as near.
    """

    name: ClassVar[str] = "weighted"

    weights: tuple[float, ...] | None = None
    """One a stream, in the order given to `fit`; TSN takes (1.0, 1.5) (arXiv:1608.00859)."""
    steps: int = 20
    """Grid intervals from 0 to 1: 20 holds TSN's 0.4 : 0.6. Six streams and more get fewer."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ParameterError(f"steps: got {self.steps}, expected at least 1")
        if self.weights is None:
            return
        if any(not math.isfinite(weight) or weight < 0 for weight in self.weights):
            raise ParameterError(f"weights: got {self.weights}, expected numbers of 0 or more")
        if sum(self.weights) <= 0:
            raise ParameterError(f"weights: got {self.weights}, expected one above 0 at least")

    def fit(self, parts: Sequence[Scores]) -> Mixture:
        """Choose the weights on these parts, which may not be test scores."""
        aligned = align(parts)
        streams = tuple(part.stream for part in aligned)
        if self.weights is not None and len(self.weights) != len(streams):
            raise ScoresError(
                f"fusion 'weighted' has {len(self.weights)} weights for {len(streams)} streams "
                f"({listed(streams)}); give one a stream"
            )
        weights = self._search(aligned) if self.weights is None else self.weights
        total = sum(weights)
        return Mixture(streams, tuple(weight / total for weight in weights), aligned[0].part)

    def _search(self, aligned: Sequence[Scores]) -> tuple[float, ...]:
        first = aligned[0]
        if first.part == "test":
            raise ScoresError(
                "fusion 'weighted' was given test scores to choose its weights on; "
                "fit it on validation or training scores"
            )
        if unknown := int((first.labels < 0).sum()):
            raise ScoresError(
                f"fusion 'weighted': videos without a label: {unknown} of {len(first.labels)}; "
                "leave them out where weights are chosen"
            )
        probabilities = np.stack([part.scores for part in aligned])
        equal = 1 / len(aligned)

        def mixed(weights: tuple[float, ...]) -> NDArray[np.floating]:
            return mix(probabilities, weights, mean="arithmetic")

        grid = [(equal,) * len(aligned), *_simplex(len(aligned), self._steps(len(aligned)))]
        count = len(first.labels)
        right = [int((mixed(weights).argmax(1) == first.labels).sum()) for weights in grid]
        best = max(right) / count
        # of a share of `count` trials; a perfect best has none, though one trial may be luck
        error = math.sqrt(best * (1 - best) / count)

        # Both rounded, so that streams of equal scores tie in spite of the last bits.
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
        """`steps`, or as many as keep the grid small, which grows fast with the streams."""
        steps = self.steps
        while steps > 1 and math.comb(steps + streams - 1, streams - 1) > MOST:
            steps -= 1
        return steps


def log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean of -log of the probability `(N, K)` that each of the N videos' own class got, in nats.

    Summed exactly, so that the order of the videos does not matter.
    """
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -math.fsum(np.log(np.maximum(own, SMALLEST))) / max(len(labels), 1)


def _simplex(streams: int, steps: int) -> Iterator[tuple[float, ...]]:
    """Every tuple of multiples of 1 / steps, one a stream, that sums to 1."""

    def counts(left: int, places: int) -> Iterator[tuple[int, ...]]:
        if places == 1:
            yield (left,)
            return
        for here in range(left + 1):
            for rest in counts(left - here, places - 1):
                yield (here, *rest)

    for count in counts(steps, streams):
        yield tuple(value / steps for value in count)
