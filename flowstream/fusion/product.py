"""The geometric mean of the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flowstream.fusion.mixture import Fusion, Mixture, equal
from flowstream.scores import Scores


@dataclass(frozen=True)
class Product(Fusion):
    """The geometric mean of the probabilities: that of the logits, as I3D fuses (arXiv:1705.07750).

    Softmax turns a sum of logits into a product of probabilities; a stream that is sure that a
    class is wrong can veto it (the product rule of Kittler et al. 1998, doi:10.1109/34.667881).
    """

    name: ClassVar[str] = "product"

    def fit(self, parts: Sequence[Scores]) -> Mixture:
        """Equal weights; learns nothing."""
        return equal(parts, mean="geometric")
