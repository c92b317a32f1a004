"""One picture of several estimates of the same motion: fields, errors, disagreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowstream.flow.draw import draw_field
from flowstream.flow.measure import known
from flowstream.flow.method import as_luma
from flowstream.types import Images, Vectors
from flowstream.view.legends import WIDTH, bar_legend, format_scale, wheel_legend
from flowstream.view.lettering import INK, SOFT, draw_text, fit_text
from flowstream.view.resizing import fit_columns, resize_picture
from flowstream.view.side_by_side import Candidate, Score, difference_map, warp_error_map
from flowstream.view.styles.maps import colour, sequential

COLUMNS = 360
"""Columns of one picture; larger fields are shrunk, smaller ones are enlarged."""

_MARGIN = 14
_TITLE = 24
_LEGEND_ROWS = 190

Cell = tuple[str, Images]
"""A title and a picture."""


@dataclass(frozen=True)
class _Row:
    """Reference of the estimates, if there is one, and a picture of each estimate."""

    lead: Cell | None
    cells: Sequence[Cell | None]
    legend: Images


def draw_sheet(
    candidates: Sequence[Candidate],
    scores: Sequence[Score],
    *,
    frames: Sequence[Images] | None = None,
    truth: Vectors | None = None,
) -> Images:
    """Draw the first field of each candidate above its errors.

    The errors are those to the ground truth. Without it, they are the differences to the first
    candidate and, where frames are known, the warp errors.

    Parameters
    ----------
    candidates : at least one
    scores : of the candidates, in the same order
    frames : images, optional
        The frames that the first field leads from and to, and others.
    truth : (2, H, W), float32, optional
        Ground truth of the first field.

    Returns
    -------
    (rows, columns, 3), uint8
    """
    rows = [_draw_fields(candidates, scores, frame=None if frames is None else frames[0])]
    if truth is not None:
        rows.append(_draw_errors(candidates, scores, truth))
    elif len(candidates) > 1:
        rows.append(_draw_differences(candidates, None if frames is None else frames[1]))
    if truth is None and frames is not None:
        rows.append(_draw_warp_errors(candidates, frames))
    return _layout(rows)


def _draw_fields(
    candidates: Sequence[Candidate], scores: Sequence[Score], *, frame: Images | None
) -> _Row:
    shown = [candidate.fields[0] for candidate in candidates]
    scale = _choose_scale(shown)
    cells = [
        (_name(score), draw_field(one, max_speed=scale))
        for score, one in zip(scores, shown, strict=True)
    ]
    lead = None if frame is None else ("frame", frame)
    return _Row(lead, cells, wheel_legend(scale, _LEGEND_ROWS))


def _choose_scale(fields: Sequence[Vectors]) -> float:
    speeds = [np.hypot(*np.where(known(one), one, 0)) for one in fields]
    return max(0.02, float(np.percentile(np.stack(speeds), 99)))


def _name(score: Score) -> str:
    return score.name if score.seconds is None else f"{score.name}, {1000 * score.seconds:.0f} ms"


def _draw_errors(candidates: Sequence[Candidate], scores: Sequence[Score], truth: Vectors) -> _Row:
    scale = _choose_scale([candidate.fields[0] for candidate in candidates])
    maps = [difference_map(candidate.fields[0], truth) for candidate in candidates]
    titles = [f"error {score.truth_error:.3f} px" for score in scores]
    lead = ("ground truth (black: unknown)", draw_field(truth, max_speed=scale))
    return _draw_maps(lead, titles, maps, unit="px", floor=0.1)


def _draw_differences(candidates: Sequence[Candidate], frame: Images | None) -> _Row:
    first = candidates[0]
    maps = [difference_map(one.fields[0], first.fields[0]) for one in candidates[1:]]
    titles = [f"to {first.name}: {np.nanmean(one):.3g} px" for one in maps]
    lead = None if frame is None else ("next frame", frame)
    row = _draw_maps(lead, titles, maps, unit="px", floor=0.1)
    return _Row(row.lead, [None, *row.cells], row.legend)


def _draw_warp_errors(candidates: Sequence[Candidate], frames: Sequence[Images]) -> _Row:
    first, second = as_luma(np.stack(list(frames[:2])))
    still = np.zeros((2, *first.shape), np.float32)
    maps = [
        warp_error_map(first, second, one)
        for one in (still, *(candidate.fields[0] for candidate in candidates))
    ]
    titles = [f"warp error {np.nanmean(one):.2f} levels" for one in maps]
    row = _draw_maps(None, titles, maps, unit="grey levels", floor=8.0)
    lead = (f"without motion {np.nanmean(maps[0]):.2f} levels", row.cells[0][1])  # type: ignore[index]
    return _Row(lead, row.cells[1:], row.legend)


def _draw_maps(
    lead: Cell | None,
    titles: Sequence[str],
    maps: Sequence[NDArray[np.float32]],
    *,
    unit: str,
    floor: float,
) -> _Row:
    """Draw maps of errors on one scale, the 99th percentile of all but at least `floor`."""
    worst = max(floor, float(np.nanpercentile(np.stack(list(maps)), 99)))
    cells = [
        (title, colour(one, sequential("inferno"), low=0.0, high=worst))
        for title, one in zip(titles, maps, strict=True)
    ]
    ends = ("0", format_scale(worst / 2), format_scale(worst))
    return _Row(lead, cells, bar_legend(sequential("inferno"), ends, _LEGEND_ROWS, unit=unit))


def _layout(rows: Sequence[_Row]) -> Images:
    """Return titled pictures in rows, each with its legend at the right end."""
    has_lead = any(row.lead is not None for row in rows)
    across = len(rows[0].cells) + has_lead
    shown = rows[0].cells[0]
    assert shown is not None, "the first row has a field of each candidate"
    high = fit_columns(shown[1], COLUMNS)[0]
    step = max(high, _LEGEND_ROWS) + _TITLE + _MARGIN
    columns = across * (COLUMNS + _MARGIN) + _MARGIN + WIDTH
    sheet = np.full((len(rows) * step + _MARGIN, columns, 3), 255, np.uint8)
    for index, row in enumerate(rows):
        top = _MARGIN + index * step
        for number, cell in enumerate([*([row.lead] if has_lead else []), *row.cells]):
            if cell is not None:
                _place(sheet, cell, (_MARGIN + number * (COLUMNS + _MARGIN), top), rows=high)
        bottom = top + _TITLE + row.legend.shape[0]
        sheet[top + _TITLE : bottom, columns - WIDTH :] = row.legend
    return sheet


def _place(sheet: Images, cell: Cell, corner: tuple[int, int], *, rows: int) -> None:
    """Draw a title and, below it, its picture at the width of the column."""
    (title, picture), (left, top) = cell, corner
    ink = INK if top < rows else SOFT
    draw_text(sheet, fit_text(title, COLUMNS, height=16), (left, top + 15), height=16, colour=ink)
    below = top + _TITLE
    # pixels stay visible as squares where a field is small
    scaled = resize_picture(picture, (rows, COLUMNS), enlarge="pixels")
    sheet[below : below + rows, left : left + COLUMNS] = scaled
