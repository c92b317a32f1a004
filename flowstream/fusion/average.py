"""The mean of the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flowstream.fusion.mixture import Fusion, Mixture, equal
from flowstream.scores import Scores


@dataclass(frozen=True)
class Average(Fusion):
    """The mean of the streams' probabilities (Simonyan & Zisserman 2014, arXiv:1406.2199)."""

    name: ClassVar[str] = "average"

    def fit(self, parts: Sequence[Scores]) -> Mixture:
        """Equal weights; learns nothing."""
        return equal(parts, mean="arithmetic")
