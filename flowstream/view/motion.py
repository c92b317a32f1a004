"""Speed and direction of the flow of a stack: percentiles, means and shares, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowstream.errors import ParameterError, ShapeError
from flowstream.store import Stack
from flowstream.types import Vectors

PERCENTILES = (5, 50, 95, 99)

STILL = 0.1
"""Pixels per frame below which a vector counts as still: less than the step of 0.157 px of
`centred8` at its default bound of 20, so that in such a stack exactly zero vectors are still."""

# Speeds are counted in steps of 1/128 px, a twentieth of the step of an 8-bit code, up to 1024 px,
# which is more than any integer codec holds (724 px). That is 1 MB for a stack of any length.
_STEPS = 128
_FASTEST = 1024

# Pixels between the samples of a field's median, which is a robust mean and needs no more.
_MEDIAN_STRIDE = 4


@dataclass(frozen=True)
class MotionSummary:
    """Motion of a stack, or of some of its fields; speeds in pixels per frame step."""

    fields: int
    vectors: int
    mean: float
    """Mean speed."""
    percentiles: dict[str, float]
    """`p5 p50 p95 p99`: the speed that so many percent of the vectors do not exceed, to 1/128 px;
    beyond 1024 px it is the speed of the fastest vector."""
    max: float
    """Speed of the fastest vector, exact."""
    mean_dx: float
    mean_dy: float
    camera: float
    """Mean over the fields of the length of the median vector: the motion of the camera, where
    most of the picture is background."""
    still: float
    """Fraction of the vectors slower than 0.1 px."""
    clipped: float
    """Fraction of the vectors at the codec's bound."""

    @property
    def direction(self) -> float | None:
        """Angle of the mean vector in degrees: 0 right, 90 down; None if it is zero."""
        if math.hypot(self.mean_dx, self.mean_dy) < 1e-6:
            return None
        return math.degrees(math.atan2(self.mean_dy, self.mean_dx)) % 360

    @property
    def coherence(self) -> float:
        """Length of the mean vector over the mean speed: 1 if all vectors are parallel."""
        return math.hypot(self.mean_dx, self.mean_dy) / self.mean if self.mean else 0.0


class MotionCounter:
    """Counter of vectors by speed; its size does not grow with what is counted.

    Counters can be added to give the motion of several stacks.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_FASTEST * _STEPS + 1, np.int64)
        self._fields = 0
        self._still = 0
        self._clipped = 0
        self._sum = np.zeros(2)
        self._speed_sum = 0.0
        self._camera = 0.0
        self._max = 0.0

    def add(self, vectors: Vectors, *, clipped: int) -> None:
        """Count fields.

        Parameters
        ----------
        vectors : (..., 2, H, W), float32
        clipped : int
            Number of the vectors at the codec's bound.

        Raises
        ------
        ShapeError
            If `vectors` has another shape.
        """
        if vectors.ndim < 3 or vectors.shape[-3] != 2:
            raise ShapeError(f"vectors: expected shape (..., 2, H, W), got {vectors.shape}")
        speed = np.hypot(vectors[..., 0, :, :], vectors[..., 1, :, :])
        step = np.rint(np.minimum(speed, _FASTEST) * _STEPS).astype(np.int64)
        self._counts += np.bincount(step.ravel(), minlength=len(self._counts))
        self._fields += int(np.prod(vectors.shape[:-3]))
        self._still += int((speed < STILL).sum())
        self._clipped += clipped
        self._sum += np.moveaxis(vectors, -3, 0).reshape(2, -1).sum(axis=1, dtype=np.float64)
        self._speed_sum += float(speed.sum(dtype=np.float64))
        self._max = max(self._max, float(speed.max(initial=0)))
        samples = vectors[..., ::_MEDIAN_STRIDE, ::_MEDIAN_STRIDE]
        medians = np.median(samples, axis=(-2, -1)).reshape(-1, 2)
        self._camera += float(np.hypot(*medians.T).sum())

    def __iadd__(self, other: MotionCounter) -> MotionCounter:
        for name in ("_counts", "_fields", "_still", "_clipped", "_sum", "_speed_sum", "_camera"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._max = max(self._max, other._max)
        return self

    def summary(self) -> MotionSummary:
        """Return the summary of what was counted.

        Raises
        ------
        ParameterError
            If nothing was counted.
        """
        total = int(self._counts.sum())
        if not total:
            raise ParameterError("no flow vectors to summarise; add a field first")
        reached = np.cumsum(self._counts)
        # the inverse of the distribution function
        places = [int(np.searchsorted(reached, percent * total / 100)) for percent in PERCENTILES]
        return MotionSummary(
            fields=self._fields,
            vectors=total,
            mean=self._speed_sum / total,
            percentiles={
                f"p{percent}": self._speed(place)
                for percent, place in zip(PERCENTILES, places, strict=True)
            },
            max=self._max,
            mean_dx=float(self._sum[0] / total),
            mean_dy=float(self._sum[1] / total),
            camera=self._camera / self._fields,
            still=self._still / total,
            clipped=self._clipped / total,
        )

    def _speed(self, place: int) -> float:
        return self._max if place == len(self._counts) - 1 else min(place / _STEPS, self._max)


def count_motion(stack: Stack) -> Iterator[MotionCounter]:
    """Yield a counter for each field of a stack, in order; memory holds one field.

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
    """Return the mean number of fields per second, by the frames' times; None without times."""
    time = stack.time
    seconds = float(time[-1] - time[0])
    return stack.num_fields / seconds if stack.fps > 0 and seconds > 0 else None


def as_record(summary: MotionSummary, rate: float | None) -> dict[str, Any]:
    """Return a summary as plain data.

    Parameters
    ----------
    summary : MotionSummary
    rate : float or None
        Fields per second; without it, there are no speeds per second.
    """
    speeds = {"mean": summary.mean, **summary.percentiles, "max": summary.max}
    return {
        "fields": summary.fields,
        "vectors": summary.vectors,
        "pixels_per_frame": speeds,
        "pixels_per_second": {key: speed * rate for key, speed in speeds.items()} if rate else None,
        "mean_dx": summary.mean_dx,
        "mean_dy": summary.mean_dy,
        "direction": summary.direction,
        "coherence": summary.coherence,
        "camera": summary.camera,
        "still": summary.still,
        "clipped": summary.clipped,
    }
