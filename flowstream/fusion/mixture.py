"""Weighted means of probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flowstream.fusion.align import align
from flowstream.fusion.fusion import FittedFusion
from flowstream.scores import Scores

Mean = Literal["arithmetic", "geometric"]

# Smaller than any nonzero probability in float32 scores; keeps logarithms finite.
SMALLEST = 1e-12


@dataclass(frozen=True)
class Mixture(FittedFusion):
    """Weighted mean of the probabilities of streams.

    Parameters
    ----------
    streams, fitted_on
        See `FittedFusion`.
    weights : tuple of float
        One for each stream; they sum to 1.
    mean : "arithmetic" or "geometric"
    """

    weights: tuple[float, ...]
    mean: Mean = "arithmetic"

    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted mean (N, K) of probabilities (streams, N, K)."""
        return mix(scores, self.weights, mean=self.mean)

    def describe(self) -> Mapping[str, float]:
        """Return the weight of each stream."""
        return dict(zip(self.streams, self.weights, strict=True))


def average_streams(parts: Sequence[Scores], *, mean: Mean) -> Mixture:
    """Return the mixture that gives all streams equal weights."""
    aligned = align(parts)
    streams = tuple(part.stream for part in aligned)
    return Mixture(streams, aligned[0].part, (1 / len(streams),) * len(streams), mean)


def mix(
    probabilities: NDArray[np.floating], weights: Sequence[float], *, mean: Mean
) -> NDArray[np.float64]:
    """Return the weighted mean (N, K) of probabilities (streams, N, K), rows summing to 1."""
    values = probabilities.astype(np.float64)
    if mean == "geometric":
        logs = np.tensordot(np.asarray(weights), np.log(np.maximum(values, SMALLEST)), axes=1)
        # before exp, so that a product of many tiny probabilities does not vanish
        mixed = np.exp(logs - logs.max(axis=1, keepdims=True))
    else:
        mixed = np.tensordot(np.asarray(weights), values, axes=1)
    result: NDArray[np.float64] = mixed / mixed.sum(axis=1, keepdims=True)
    return result
