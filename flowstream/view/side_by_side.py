"""Errors, disagreement and time of several estimates of the same motion."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ShapeError
from flowstream.flow import FlowMethod, motion
from flowstream.flow.measure import average_end_point_error, fl_all, known
from flowstream.flow.method import as_luma
from flowstream.types import Images, Vectors


@dataclass
class Candidate:
    """One estimate: its fields, and how long each took."""

    name: str
    fields: list[Vectors] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Score:
    """Measures of a candidate, averaged over its fields; None if unknown."""

    name: str
    seconds: float | None
    """Median time of a pair."""
    speed: float
    """Mean speed, px/frame."""
    warp_error: float | None
    """Mean |first − warped second|, grey levels."""
    difference: float | None
    """Mean end-point difference to the first candidate, px; None for the first one."""
    truth_error: float | None = None
    """Mean end-point error, px, over the pixels that are known in both."""
    outliers: float | None = None
    """KITTI's outliers, percent."""


def estimate_fields(
    candidate: Candidate, method: FlowMethod, frames: Sequence[Images]
) -> Iterator[Vectors]:
    """Estimate the flow between successive frames, add it to a candidate, and yield it.

    The first pair is estimated once more than needed, because compilation and caches would count
    as its time.
    """
    method(frames[0][None], frames[1][None])
    for first, second in itertools.pairwise(frames):
        started = time.perf_counter()
        vectors = method(first[None], second[None])[0]
        candidate.seconds.append(time.perf_counter() - started)
        candidate.fields.append(vectors)
        yield vectors


def score_candidates(
    candidates: Sequence[Candidate],
    *,
    frames: Sequence[Images] | None = None,
    truth: Vectors | None = None,
) -> list[Score]:
    """Measure each candidate.

    Parameters
    ----------
    candidates : fields of the same shape and number
    frames : L + 1 images, optional
        RGB, for the warp error.
    truth : (2, H, W), float32, optional
        Ground truth of the first field.

    Raises
    ------
    ShapeError
        If the fields differ in shape or number.
    """
    reference = candidates[0]
    for candidate in candidates[1:]:
        one, other = (np.shape(found.fields) for found in (reference, candidate))
        if one != other:
            raise ShapeError(
                f"{candidate.name}: expected {one[0]} fields of {one[-1]}x{one[-2]} as in "
                f"{reference.name}, got {other[0]} of {other[-1]}x{other[-2]}"
            )
    return [_score(one, reference, frames=frames, truth=truth) for one in candidates]


def _score(
    candidate: Candidate,
    reference: Candidate,
    *,
    frames: Sequence[Images] | None,
    truth: Vectors | None,
) -> Score:
    speeds = [np.hypot(*np.where(known(one), one, 0)).mean() for one in candidate.fields]
    differences = [
        _mean(difference_map(one, other))
        for one, other in zip(candidate.fields, reference.fields, strict=True)
    ]
    errors = None
    if frames is not None:
        lumas = as_luma(np.stack(list(frames)))
        errors = [
            _mean(warp_error_map(lumas[k], lumas[k + 1], one))
            for k, one in enumerate(candidate.fields)
        ]
    return Score(
        name=candidate.name,
        seconds=statistics.median(candidate.seconds) if candidate.seconds else None,
        speed=float(np.mean(speeds)),
        warp_error=None if errors is None else float(np.mean(errors)),
        difference=None if candidate is reference else float(np.mean(differences)),
        **({} if truth is None else _measure_errors(candidate.fields[0], truth)),
    )


def _measure_errors(field: Vectors, truth: Vectors) -> dict[str, float]:
    """Return the errors of a field, which may have unknown vectors itself, such as a `.flo` file.

    Raises
    ------
    ShapeError
        If the sizes differ.
    ParameterError
        If no pixel is known in both.
    """
    mask = known(field)
    # unknown vectors count in neither measure, so their values do not matter
    estimate = np.where(mask, field, 0).astype(np.float32)
    if field.shape == truth.shape:
        truth = np.where(mask, truth, np.nan).astype(np.float32)
    return {
        "truth_error": average_end_point_error(estimate, truth),
        "outliers": fl_all(estimate, truth),
    }


def difference_map(first: Vectors, second: Vectors) -> NDArray[np.float32]:
    """Return the length of the difference at each pixel; NaN where either field is unknown."""
    mask = known(first) & known(second)
    with np.errstate(invalid="ignore"):
        length = np.hypot(*(first - second))
    return np.where(mask, length, np.nan).astype(np.float32)


def warp_error_map(first: Images, second: Images, vectors: Vectors) -> NDArray[np.float32]:
    """Return the warp error of lumas `(H, W)`, grey levels; NaN where the flow leaves the frame."""
    warped, inside = motion.warp(second, np.where(known(vectors), vectors, 0).astype(np.float32))
    return np.where(inside, cv2.absdiff(warped, first), np.nan).astype(np.float32)


def _mean(values: NDArray[np.float32]) -> float:
    """Return the mean of the known values; 0 where none is known."""
    seen = values[np.isfinite(values)]
    return float(seen.mean(dtype=np.float64)) if seen.size else 0.0
