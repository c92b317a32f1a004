"""Protocol of a test: selection of the clips of a video, and average of their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flowstream.errors import ParameterError

LIMITS = {
    "step": 10_000,
    "segments": 10_000,
    "batch": 1_000_000,
    "accumulate": 10_000,
    "epochs": 1_000_000,
    "validate_every": 1_000_000,
    "workers": 1_000,
    "seed": 2**63 - 1,
}
"""Largest accepted values; torch takes no larger seed."""


class Checked:
    """Dataclass that checks its own fields."""

    def expect(self, name: str, expected: str, holds: object) -> None:
        """Raise `ParameterError` with the field's name and value unless `holds` is true."""
        if not holds:
            raise ParameterError(f"{name}: got {getattr(self, name)!r}, expected {expected}")


@dataclass(frozen=True)
class Evaluation(Checked):
    """Protocol of a test: selection of the clips of a video, and average of their scores.

    Parameters
    ----------
    segments : int
        Number of moments, which are evenly spaced.
    crops : 1, 3, 5, 10 or "full"
        Crops at each moment: the centre; three along the longer side; the centre and the corners;
        these five and their mirror images. "full" is the whole frame, on which the network is run
        fully convolutionally (Simonyan & Zisserman 2015, arXiv:1409.1556, section 3.2).
    average : "probabilities" or "logits"
        Quantity that is averaged over the clips: softmax scores (Simonyan & Zisserman 2014,
        arXiv:1406.2199, section 5), or the scores before the softmax (TSN, arXiv:1608.00859). With
        logits, one confident clip can outweigh many others. Use logits for a linear classifier that
        was fitted to features averaged over the clips.
    """

    segments: int = 25
    crops: int | Literal["full"] = 10
    average: Literal["probabilities", "logits"] = "probabilities"

    def __post_init__(self) -> None:
        self.expect("segments", "1 to 10000", 1 <= self.segments <= 10_000)
        self.expect("crops", "1, 3, 5, 10 or 'full'", self.crops in (1, 3, 5, 10, "full"))

    def __str__(self) -> str:
        """Return the protocol in short, such as `25x10 probabilities`."""
        return f"{self.segments}x{self.crops} {self.average}"

    @property
    def num_crops(self) -> int:
        """Number of crops of each frame; 0 for the whole frame."""
        return self.crops if isinstance(self.crops, int) else 0
