"""How fast the flow of a stack is: percentiles, means and shares, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowstream.errors import ParameterError, ShapeError
from flowstream.store import Stack
from flowstream.types import Vectors

PERCENTILES = (5, 50, 95, 99)

STILL = 0.1
"""Pixels a frame below which a vector counts as still: under the 0.157 px step of `centred8` at
its usual bound of 20, so that in such a stack exactly the zero vectors do."""

# Speeds are counted in steps of 1/128 px, a twentieth of an 8-bit code's step, up to 1024 px, which
# is more than any integer codec holds (724 px). One megabyte, however long the stack is.
_STEPS = 128
_FASTEST = 1024


@dataclass(frozen=True)
class MotionSummary:
    """The motion of a stack, or of some of its fields; speeds in pixels per frame step."""

    fields: int
    vectors: int
    percentiles: dict[str, float]
    """`p5 p50 p95 p99`: the speed that this share of the vectors does not exceed, to 1/128 px; to
    the fastest vector's where it is beyond 1024 px."""
    max: float
    """Exact."""
    mean_dx: float
    mean_dy: float
    still: float
    """Share of the vectors slower than 0.1 px."""
    clipped: float
    """Share of the vectors at the codec's bound."""


class MotionCounter:
    """Counts vectors by their speed; holds a histogram whatever it is given.

    Counters can be added, for the motion of several stacks.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_FASTEST * _STEPS + 1, np.int64)
        self._fields = 0
        self._still = 0
        self._clipped = 0
        self._sum = np.zeros(2)
        self._max = 0.0

    def add(self, vectors: Vectors, *, clipped: int) -> None:
        """Count fields `(..., 2, H, W)`, of whose vectors so many stand at the bound.

        Raises
        ------
        ShapeError
            If `vectors` is not such an array.
        """
        if vectors.ndim < 3 or vectors.shape[-3] != 2:
            raise ShapeError(f"vectors: got shape {vectors.shape}, expected (..., 2, H, W)")
        speed = np.hypot(vectors[..., 0, :, :], vectors[..., 1, :, :])
        step = np.rint(np.minimum(speed, _FASTEST) * _STEPS).astype(np.int64)
        self._counts += np.bincount(step.ravel(), minlength=len(self._counts))
        self._fields += int(np.prod(vectors.shape[:-3]))
        self._still += int((speed < STILL).sum())
        self._clipped += clipped
        self._sum += np.moveaxis(vectors, -3, 0).reshape(2, -1).sum(axis=1, dtype=np.float64)
        self._max = max(self._max, float(speed.max(initial=0)))

    def __iadd__(self, other: MotionCounter) -> MotionCounter:
        for name in ("_counts", "_fields", "_still", "_clipped", "_sum"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._max = max(self._max, other._max)
        return self

    def summary(self) -> MotionSummary:
        """What was counted.

        Raises
        ------
        ParameterError
            If nothing was.
        """
        total = int(self._counts.sum())
        if not total:
            raise ParameterError("no flow vectors to sum up; add a field first")
        reached = np.cumsum(self._counts)
        # The smallest speed that so many vectors do not exceed: the inverse of the distribution.
        places = [int(np.searchsorted(reached, percent * total / 100)) for percent in PERCENTILES]
        return MotionSummary(
            fields=self._fields,
            vectors=total,
            percentiles={
                f"p{percent}": self._speed(place)
                for percent, place in zip(PERCENTILES, places, strict=True)
            },
            max=self._max,
            mean_dx=float(self._sum[0] / total),
            mean_dy=float(self._sum[1] / total),
            still=self._still / total,
            clipped=self._clipped / total,
        )

    def _speed(self, place: int) -> float:
        return self._max if place == len(self._counts) - 1 else min(place / _STEPS, self._max)


def count_motion(stack: Stack) -> Iterator[MotionCounter]:
    """A counter for each field of a stack, in order; memory holds one field.

    Raises
    ------
    StackError
        If the stack cannot be read to its end.
    """
    for k in range(stack.num_fields):
        codes = stack.codes(k, 1)
        counter = MotionCounter()
        counter.add(stack.codec.decode(codes)[None], clipped=stack.codec.at_bound(codes))
        yield counter


def steps_per_second(stack: Stack) -> float | None:
    """How many fields a second of the video has, by the frames' times; None where it has no times.

    Under a variable rate this is the mean.
    """
    time = stack.time
    seconds = float(time[-1] - time[0])
    return stack.num_fields / seconds if stack.fps > 0 and seconds > 0 else None


def as_record(summary: MotionSummary, rate: float | None) -> dict[str, Any]:
    """A summary as plain data: speeds in pixels a frame step and, given the rate, a second."""
    speeds = {**summary.percentiles, "max": summary.max}
    return {
        "fields": summary.fields,
        "vectors": summary.vectors,
        "pixels_per_frame": speeds,
        "pixels_per_second": {key: speed * rate for key, speed in speeds.items()} if rate else None,
        "mean_dx": summary.mean_dx,
        "mean_dy": summary.mean_dy,
        "still": summary.still,
        "clipped": summary.clipped,
    }
