"""Where in a video a clip is taken: the same rule for both streams, in training and in testing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError


@dataclass(frozen=True)
class Window:
    """L fields, `step` apart, from each of `segments` parts of a video.

    Time is counted in fields: field i leads from sampled frame i to frame i + 1. A window that
    starts at s has the fields s, s + step, ... The places where it fits are divided into equal
    segments; training starts anywhere in each segment, testing in its middle, which spaces the
    windows evenly (one segment: the centre of the video). Wang et al. 2016 (TSN,
    arXiv:1608.00859), section 3.1.

    A video that is too short for the window is looped, as in Hara et al. 2018 (arXiv:1711.09577),
    section 4.1: its motion stays its own, where repeating its last field would invent motion, and
    zeros would look like rest.

    Parameters
    ----------
    length : int
        L, how many fields. 10: Simonyan & Zisserman 2014 found no gain beyond.
    step : int
        Fields from one to the next.
    segments : int
        How many windows of each video.
    """

    length: int = 10
    step: int = 1
    segments: int = 1

    def __post_init__(self) -> None:
        for name in ("length", "step", "segments"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}: got {getattr(self, name)}, expected 1 or more")

    @property
    def span(self) -> int:
        """Fields from the first to the last, both counted."""
        return (self.length - 1) * self.step + 1

    def starts(self, num_fields: int, generator: np.random.Generator | None) -> list[int]:
        """The first field of each window: random with a generator, evenly spaced without."""
        places = max(num_fields - self.span, 0) + 1
        within = 0.5 if generator is None else generator.random(self.segments)
        starts = (np.arange(self.segments) + within) * places / self.segments
        return [int(start) for start in np.minimum(starts, places - 1)]

    def frame_offset(self, frames: int) -> int:
        """Fields from a window's start to the first of `frames` frames in the middle of it.

        A single frame is the middle one of those that the window moves between; L frames begin
        with the window, each the frame that its field starts from.

        Raises
        ------
        ParameterError
            If so many frames, `step` apart, do not fit.
        """
        offset = (self.span - (frames - 1) * self.step) // 2
        if frames < 1 or offset < 0:
            raise ParameterError(
                f"frames: got {frames}, expected 1 to {self.span // self.step + 1} in a window of "
                f"{self.length} fields, {self.step} apart"
            )
        return offset


def looped(first: int, count: int, *, step: int, num_fields: int) -> NDArray[np.intp]:
    """Indices of fields, or of the frames that they start from, in a video that starts over."""
    return (first + step * np.arange(count)) % num_fields
