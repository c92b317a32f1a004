"""Interfaces of a fusion and of a fitted fusion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ScoresError
from flowstream.fusion.align import align, shorten
from flowstream.scores import Scores

F = TypeVar("F", bound="FittedFusion")


class Fusion(ABC):
    """Fusion of streams; subclasses are frozen dataclasses with its parameters."""

    name: ClassVar[str]
    """Its name in FUSIONS."""

    @abstractmethod
    def fit(self, parts: Sequence[Scores]) -> FittedFusion:
        """Fit to one `Scores` per stream, of videos that may be used for fitting.

        Raises
        ------
        ScoresError
            If `align` rejects the parts, or the fusion would be fitted on test scores.
        """


@dataclass(frozen=True, eq=False)
class FittedFusion(ABC):
    """Fusion that is ready for use.

    Parameters
    ----------
    streams : names of the streams, in the order of fitting
    fitted_on : str
        Part of the dataset on whose scores the fusion was fitted.
    """

    streams: tuple[str, ...]
    fitted_on: str

    @abstractmethod
    def combine(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fused probabilities (N, K) of scores (streams, N, K)."""

    def describe(self) -> Mapping[str, Any]:
        """Return the fitted values as plain data for a report."""
        return {}

    def __call__(self, parts: Sequence[Scores]) -> Scores:
        """Fuse the scores of the fitted streams, in any order, over the same videos.

        Returns
        -------
        Scores
            Scores of the stream `fused`, in the order of the videos of the first part; rows sum
            to 1.

        Raises
        ------
        ScoresError
            If the streams are not the fitted ones, or `align` rejects their scores.
        """
        aligned = {part.stream: part for part in align(parts)}
        if set(aligned) != set(self.streams):
            raise ScoresError(
                f"fusion fitted on the streams {shorten(self.streams)}, got {shorten(aligned)}; "
                "give it the scores of the same streams"
            )
        first = next(iter(aligned.values()))
        stacked = np.stack([aligned[stream].scores for stream in self.streams]).astype(np.float64)
        fused = self.combine(stacked).astype(np.float32)
        return replace(first, scores=fused, stream="fused", checkpoint="")


def fit_nothing(fitted: type[F], parts: Sequence[Scores]) -> F:
    """Return a fitted fusion of these streams that has no fitted values."""
    aligned = align(parts)
    return fitted(tuple(part.stream for part in aligned), aligned[0].part)


def check_may_learn(name: str, parts: Sequence[Scores]) -> None:
    """Raise `ScoresError` if parameters would be fitted on test scores or unlabelled videos."""
    first = parts[0]
    if first.part == "test":
        raise ScoresError(
            f"fusion {name!r}: got test scores, expected scores of validation or training videos, "
            "because its parameters are fitted on them; give others (--fit) or weights (--weights)"
        )
    if unknown := int((first.labels < 0).sum()):
        raise ScoresError(
            f"fusion {name!r}: {unknown} of {len(first.labels)} videos have no label, expected "
            "labels for all; leave those videos out"
        )
