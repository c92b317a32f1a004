"""The mean of the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flowstream.fusion.fusion import Fusion
from flowstream.fusion.mixture import Mixture, average_streams
from flowstream.scores import Scores


@dataclass(frozen=True)
class Average(Fusion):
    """Mean of the streams' probabilities (Simonyan & Zisserman 2014, arXiv:1406.2199)."""

    name: ClassVar[str] = "average"

    def fit(self, parts: Sequence[Scores]) -> Mixture:
        """Return the mixture with equal weights; nothing is fitted."""
        return average_streams(parts, mean="arithmetic")
