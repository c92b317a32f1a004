"""Several estimates of the same motion side by side: errors, disagreement, time and a picture."""

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
from flowstream.flow.draw import draw_field
from flowstream.flow.measure import end_point_error, fl_all, known
from flowstream.flow.method import as_luma
from flowstream.types import Images, Vectors
from flowstream.view.legends import WIDTH, bar_legend, format_scale, wheel_legend
from flowstream.view.lettering import INK, SOFT, draw_text, fit_text
from flowstream.view.styles.maps import colour, sequential

_COLUMNS = 320
"""Columns that a picture of the sheet has at least."""

_MARGIN = 14


@dataclass
class Candidate:
    """One estimate: its fields, and how long each took."""

    name: str
    fields: list[Vectors] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Score:
    """What is known about a candidate, means over its fields; None where it is unknown."""

    name: str
    seconds: float | None
    """Median time of a pair."""
    speed: float
    """Mean speed, px/frame."""
    warp_error: float | None
    """Mean |first − warped second|, grey levels."""
    difference: float | None
    """Mean end-point difference to the first candidate, px; None for the first one."""
    truth_error: float | None
    """Mean end-point error, px."""
    outliers: float | None
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
    return [_score(candidate, reference, frames, truth) for candidate in candidates]


def _score(
    candidate: Candidate,
    reference: Candidate,
    *extra: Sequence[Images] | Vectors | None,
) -> Score:
    frames, truth = extra
    speeds = [np.hypot(*np.where(known(one), one, 0)).mean() for one in candidate.fields]
    differences = [
        float(np.nanmean(difference_map(one, other)))
        for one, other in zip(candidate.fields, reference.fields, strict=True)
    ]
    errors = None
    if frames is not None:
        lumas = as_luma(np.stack(list(frames)))
        errors = [
            _warp_error(lumas[k], lumas[k + 1], one) for k, one in enumerate(candidate.fields)
        ]
    first = candidate.fields[0]
    exact = None if truth is None else float(np.nanmean(end_point_error(first, truth)))  # type: ignore[arg-type]
    return Score(
        name=candidate.name,
        seconds=statistics.median(candidate.seconds) if candidate.seconds else None,
        speed=float(np.mean(speeds)),
        warp_error=None if errors is None else float(np.mean(errors)),
        difference=None if candidate is reference else float(np.mean(differences)),
        truth_error=exact,
        outliers=None if truth is None else float(fl_all(first, truth)),  # type: ignore[arg-type]
    )


def difference_map(first: Vectors, second: Vectors) -> NDArray[np.float32]:
    """Return the length of the difference at each pixel; NaN where either field is unknown."""
    mask = known(first) & known(second)
    with np.errstate(invalid="ignore"):
        length = np.hypot(*(first - second))
    return np.where(mask, length, np.nan).astype(np.float32)


def _warp_error(first: Images, second: Images, vectors: Vectors) -> float:
    warped, inside = motion.warp(second, np.where(known(vectors), vectors, 0).astype(np.float32))
    return float(cv2.absdiff(warped, first)[inside].mean()) if inside.any() else 0.0


def draw_sheet(
    candidates: Sequence[Candidate],
    *,
    k: int = 0,
    frame: Images | None = None,
    truth: Vectors | None = None,
    scale: float | None = None,
) -> Images:
    """Draw field k of each candidate above its difference to the truth or the first candidate.

    Parameters
    ----------
    candidates : at least one
    k : int
    frame : (H, W, 3), uint8, optional
        The frame that the fields lead from, drawn first.
    truth : (2, H, W), float32, optional
        Ground truth of field k; drawn before the candidates.
    scale : float, optional
        Speed of full colour; by default the 99th percentile over all fields.

    Returns
    -------
    (rows, columns, 3), uint8
    """
    reference = candidates[0].fields[k] if truth is None else truth
    shown = [candidate.fields[k] for candidate in candidates]
    if scale is None:
        speeds = [np.hypot(*np.where(known(one), one, 0)) for one in [reference, *shown]]
        scale = max(0.02, float(np.percentile(np.stack(speeds), 99)))
    maps = [difference_map(one, reference) for one in shown]
    worst = max(0.1, float(np.nanpercentile(np.stack(maps), 99)))
    top = [
        (candidate.name, draw_field(one, max_speed=scale))
        for candidate, one in zip(candidates, shown, strict=True)
    ]
    bars = [colour(one, sequential("inferno"), low=0.0, high=worst) for one in maps]
    label = "error" if truth is not None else f"difference to {candidates[0].name}"
    bottom = [
        (f"{label}: mean {float(np.nanmean(one)):.3g} px", bar)
        for one, bar in zip(maps, bars, strict=True)
    ]
    lead_top = [] if frame is None else [("frame", frame)]
    blank = np.full((*reference.shape[1:], 3), 255, np.uint8)
    lead_bottom = [] if frame is None else [("", blank)]
    if truth is not None:
        lead_top.append(("ground truth", draw_field(truth, max_speed=scale)))
        lead_bottom.append(("", blank))
    if truth is None and len(candidates) > 1:
        bottom[0] = ("", blank)
    ends = ("0", format_scale(worst / 2), format_scale(worst))
    return _layout(
        [lead_top + top, lead_bottom + bottom],
        [wheel_legend(scale, 190), bar_legend(sequential("inferno"), ends, 190, unit="px")],
    )


def _layout(rows: Sequence[Sequence[tuple[str, Images]]], legends: Sequence[Images]) -> Images:
    """Return titled pictures in rows, each with its legend at the right end."""
    height, width = rows[0][0][1].shape[:2]
    factor = max(1, -(-_COLUMNS // width))
    high, wide = height * factor, width * factor
    step = max(high, 190) + 36
    columns = len(rows[0]) * (wide + _MARGIN) + _MARGIN + WIDTH + _MARGIN
    sheet = np.full((len(rows) * step + _MARGIN, columns, 3), 255, np.uint8)
    for index, (row, legend) in enumerate(zip(rows, legends, strict=True)):
        top = _MARGIN + index * step
        for number, (title, picture) in enumerate(row):
            left = _MARGIN + number * (wide + _MARGIN)
            text = fit_text(title, wide, height=14)
            ink = INK if index == 0 else SOFT
            draw_text(sheet, text, (left, top + 10), height=14, colour=ink)
            large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
            sheet[top + 18 : top + 18 + high, left : left + wide] = large
        left = columns - WIDTH - _MARGIN
        sheet[top + 10 : top + 10 + legend.shape[0], left : left + WIDTH] = legend
    return sheet
