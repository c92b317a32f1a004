"""A contact sheet: one row per clip, moments from its start to its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from flowstream.types import Images
from flowstream.view.clip import Clip
from flowstream.view.legends import format_scale
from flowstream.view.lettering import SOFT, draw_text, fit_text
from flowstream.view.moment import Style
from flowstream.view.resizing import resize_picture
from flowstream.view.scale import find_scale

CELL = 150
"""Columns of one picture."""

MOMENTS = 4
"""Number of moments of a clip; each is a frame and its field."""

GAP = 6
MARGIN = 16
_CAPTION = 24


def draw_row(clip: Clip, style: Style, *, scale: float | None = None) -> Images:
    """Draw one clip: its name and scale, and below them frames and fields in turn.

    Parameters
    ----------
    clip : Clip
    style : Style
    scale : float, optional
        Value of full colour; chosen for this clip by default.
    """
    everything = range(clip.num_fields)
    scale = find_scale(clip, style, everything) if scale is None else scale
    rows = max(1, round(CELL * clip.size[0] / clip.size[1]))
    cells = []
    for k in _spread(clip, everything):
        # a style draws at the clip's own size, so that lines keep their width in the cell
        moment = clip.moment(k, style, scale=scale, factor=max(1, round(CELL / clip.size[1])))
        frame = moment.first
        pair = [_fit(moment.background() if frame is None else frame, rows)]
        pair.append(_fit(style.draw(moment), rows))
        cells.append(np.concatenate([pair[0], np.full((rows, 2, 3), 255, np.uint8), pair[1]], 1))
    gap = np.full((rows, GAP, 3), 255, np.uint8)
    strip = np.concatenate([part for cell in cells for part in (cell, gap)][:-1], axis=1)
    row = np.full((_CAPTION + rows + 10, sheet_width() - 2 * MARGIN, 3), 255, np.uint8)
    row[_CAPTION : _CAPTION + rows, : strip.shape[1]] = strip
    facts = f"{clip.num_fields} fields  ·  {clip.method}  ·  full colour {format_scale(scale)} "
    facts += style.unit
    draw_text(row, facts, (row.shape[1], 16), height=12, colour=SOFT, anchor="rs")
    draw_text(row, fit_text(clip.name, row.shape[1] - 380, height=14), (0, 16), height=14)
    return row


def stack_rows(rows: Iterable[Images]) -> Images:
    """Return the sheet of rows, on white."""
    rows = list(rows)
    height = sum(row.shape[0] for row in rows) + 2 * MARGIN
    sheet = np.full((height, sheet_width(), 3), 255, np.uint8)
    top = MARGIN
    for row in rows:
        sheet[top : top + row.shape[0], MARGIN : MARGIN + row.shape[1]] = row
        top += row.shape[0]
    return sheet


def sheet_width() -> int:
    """Return the number of columns of every sheet."""
    return MOMENTS * (2 * CELL + 2) + (MOMENTS - 1) * GAP + 2 * MARGIN


def _spread(clip: Clip, chosen: range) -> list[int]:
    """Return the middle field of each of MOMENTS parts of equal length."""
    parts = np.linspace(0, len(chosen), MOMENTS + 1)
    return [chosen[int((start + stop) / 2)] for start, stop in itertools.pairwise(parts)]


def _fit(picture: Images, rows: int) -> Images:
    return resize_picture(picture, (rows, CELL), enlarge="linear")
