"""The contract of a fusion: what is fitted, and what fitting gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ScoresError
from flowstream.fusion.align import align, listed
from flowstream.scores import Scores

Mean = Literal["arithmetic", "geometric"]

# Below any probability that float32 scores tell from zero; keeps logarithms finite.
SMALLEST = 1e-12


@dataclass(frozen=True)
class Mixture:
    """A fusion ready for use: a weighted mean of the named streams."""

    streams: tuple[str, ...]
    weights: tuple[float, ...]
    """One a stream, summing to 1."""
    fitted_on: str
    """The part whose scores `fit` was given."""
    mean: Mean = "arithmetic"

    def __call__(self, parts: Sequence[Scores]) -> Scores:
        """Fuse the scores of the fitted streams, in any order, over the same videos.

        Returns
        -------
        Scores
            Stream `fused`, its videos in the order of the first part's; rows sum to 1.

        Raises
        ------
        ScoresError
            If the streams are not the fitted ones, or `align` refuses them.
        """
        aligned = {part.stream: part for part in align(parts)}
        if set(aligned) != set(self.streams):
            raise ScoresError(
                f"fusion fitted on the streams {listed(self.streams)}, given {listed(aligned)}; "
                "give it the scores of the same streams"
            )
        probabilities = np.stack([aligned[stream].scores for stream in self.streams])
        first = next(iter(aligned.values()))
        return Scores(
            scores=mix(probabilities, self.weights, mean=self.mean).astype(np.float32),
            labels=first.labels,
            videos=first.videos,
            classes=first.classes,
            stream="fused",
            part=first.part,
        )


class Fusion(ABC):
    """A way to fuse streams; subclasses are frozen dataclasses of its parameters."""

    name: ClassVar[str]
    """Its name in FUSIONS."""

    @abstractmethod
    def fit(self, parts: Sequence[Scores]) -> Mixture:
        """Fit to one `Scores` a stream, of videos that may be learnt from.

        Raises
        ------
        ScoresError
            If `align` refuses the parts, or something is to be learnt from test scores.
        """


def equal(parts: Sequence[Scores], *, mean: Mean) -> Mixture:
    """The mixture of these parts that favours none."""
    aligned = align(parts)
    streams = tuple(part.stream for part in aligned)
    return Mixture(streams, (1 / len(streams),) * len(streams), aligned[0].part, mean)


def mix(
    probabilities: NDArray[np.float32], weights: Sequence[float], *, mean: Mean
) -> NDArray[np.float64]:
    """The weighted mean (N, K) of probabilities (streams, N, K), rows summing to 1."""
    values = probabilities.astype(np.float64)
    if mean == "geometric":
        logs = np.tensordot(np.asarray(weights), np.log(np.maximum(values, SMALLEST)), axes=1)
        mixed = np.exp(logs)
    else:
        mixed = np.tensordot(np.asarray(weights), values, axes=1)
    result: NDArray[np.float64] = mixed / mixed.sum(axis=1, keepdims=True)
    return result
