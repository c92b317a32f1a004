"""Positions of clips in a video: one rule for all inputs, in training and in testing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError

Sampling = Literal["segments", "dense", "spread"]
Short = Literal["loop", "hold", "refuse"]


@dataclass(frozen=True)
class Window:
    """Windows of L fields, `step` apart, at `segments` positions of a video.

    Time is counted in fields: field i is the flow from sampled frame i to frame i + 1. A window
    that starts at s has the fields s, s + step, ...

    Parameters
    ----------
    length : int
        L, the number of fields. 10: Simonyan & Zisserman 2014 found no gain with more fields.
    step : int
        Distance between successive fields of the window.
    segments : int
        Number of windows of each video.
    sampling : "segments", "dense" or "spread"
        "segments" divides the possible starts into equal segments; training draws one start in
        each segment, testing uses its middle (Wang et al. 2016, TSN, arXiv:1608.00859, section
        3.1). "dense" draws every start from the whole video in training; in testing, the starts are
        evenly spaced from the first possible one to the last (Wang et al. 2018, arXiv:1711.07971,
        section 4.1). "spread" uses one fixed window that covers the whole video: it has runs of
        `run` successive fields, each from the middle of an equal part of the video.
    run : int
        Number of successive fields in a run, with "spread".
    section : int or None
        Number of fields that a window with "spread" covers, from its start; None is all of the
        video. Predictions over time cover one part of the video after the other.
    short : "loop", "hold" or "refuse"
        Treatment of a video with fewer fields than the window. "loop" starts the video again,
        as in Hara et al. 2018 (arXiv:1711.09577), section 4.1, because a repeated field would show
        motion that does not exist, and zeros would mean no motion. "hold" repeats the last field;
        "refuse" raises an error that names the video.
    """

    length: int = 10
    step: int = 1
    segments: int = 1
    sampling: Sampling = "segments"
    run: int = 1
    section: int | None = None
    short: Short = "loop"

    def __post_init__(self) -> None:
        for name in ("length", "step", "segments", "run"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}: got {getattr(self, name)}, expected 1 or more")
        if self.sampling != "spread":
            return
        for name in ("step", "segments"):
            if getattr(self, name) != 1:
                raise ParameterError(
                    f"{name}: got {getattr(self, name)}, expected 1 with sampling 'spread', whose "
                    "only window covers the whole video"
                )
        if self.length % self.run:
            raise ParameterError(
                f"run: got {self.run}, expected a divisor of the {self.length} fields of the window"
            )

    @property
    def span(self) -> int:
        """Number of fields from the first to the last, both included."""
        return (self.length - 1) * self.step + 1

    def starts(self, num_fields: int, generator: np.random.Generator | None) -> list[int]:
        """Return the first field of each window: random with a generator, fixed without one."""
        if self.sampling == "spread":
            return [0]
        places = max(num_fields - self.span, 0) + 1
        if self.sampling == "dense":
            if generator is not None:
                return [int(start) for start in generator.integers(places, size=self.segments)]
            if self.segments > 1:
                return [round(start) for start in np.linspace(0, places - 1, self.segments)]
        within = 0.5 if generator is None else generator.random(self.segments)
        starts = (np.arange(self.segments) + within) * places / self.segments
        return [int(start) for start in np.minimum(starts, places - 1)]

    def run_starts(self, num_fields: int, first: int = 0) -> list[int]:
        """Return the first field of each run of a window that is spread over a video.

        A window that covers a section of the video has its runs in the section from `first` on.
        """
        runs = self.length // self.run
        covered = num_fields if self.section is None else min(self.section, num_fields)
        places = max(covered - self.run, 0) + 1
        return [first + int(start) for start in (np.arange(runs) + 0.5) * places / runs]

    def frame_offset(self, frames: int) -> int:
        """Return the number of fields from a window's start to the first of `frames` frames.

        The frames are in the middle of the window. A single frame is the middle one of all frames
        of the window. L frames begin with the window: each is the first frame of its field.

        Raises
        ------
        ParameterError
            If that many frames, `step` apart, do not fit.
        """
        offset = (self.span - (frames - 1) * self.step) // 2
        if frames < 1 or offset < 0:
            raise ParameterError(
                f"frames: got {frames}, expected 1 to {self.span // self.step + 1} in a window of "
                f"{self.length} fields, {self.step} apart"
            )
        return offset

    def indices(self, first: int, count: int, *, step: int, num_fields: int) -> NDArray[np.intp]:
        """Return `count` indices from `first`, in a video that may be shorter than the window."""
        indices = first + step * np.arange(count)
        if self.short == "hold":
            held: NDArray[np.intp] = indices.clip(0, num_fields - 1)
            return held
        return indices % num_fields
