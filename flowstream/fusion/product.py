"""The geometric mean of the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flowstream.fusion.fusion import Fusion
from flowstream.fusion.mixture import Mixture, average_streams
from flowstream.scores import Scores


@dataclass(frozen=True)
class Product(Fusion):
    """Normalised geometric mean of the probabilities (product rule).

    A stream that gives a class a probability near 0 excludes it (Kittler et al. 1998,
    doi:10.1109/34.667881).
    """

    name: ClassVar[str] = "product"

    def fit(self, parts: Sequence[Scores]) -> Mixture:
        """Return the mixture with equal weights; nothing is fitted."""
        return average_streams(parts, mean="geometric")
