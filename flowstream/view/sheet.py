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

TALLEST = 220
"""Largest number of rows of one picture; those of tall clips are narrower."""

MOMENTS = 4
"""Number of moments of a clip; each is a frame and its field."""

GAP = 6
MARGIN = 16
_CAPTION = 24
_PLACE = 16
_TITLE = 44


def draw_row(clip: Clip, style: Style, *, scale: float | None = None) -> Images:
    """Draw one clip: its name and scale, and below them frames and fields with their times.

    Parameters
    ----------
    clip : Clip
    style : Style
    scale : float, optional
        Value of full colour; chosen for this clip by default.
    """
    everything = range(clip.num_fields)
    scale = find_scale(clip, style, everything) if scale is None else scale
    rows = max(1, min(TALLEST, round(CELL * clip.size[0] / clip.size[1])))
    columns = max(1, min(CELL, round(rows * clip.size[1] / clip.size[0])))
    row = np.full((_CAPTION + rows + _PLACE + 10, sheet_width() - 2 * MARGIN, 3), 255, np.uint8)
    for place, k in enumerate(_spread(clip, everything)):
        # a style draws at the clip's own size, so that lines keep their width in the cell
        moment = clip.moment(k, style, scale=scale, factor=max(1, round(columns / clip.size[1])))
        frame = moment.background() if moment.first is None else moment.first
        left = place * (2 * CELL + 2 + GAP)
        for start, picture in ((left, frame), (left + columns + 2, style.draw(moment))):
            cell = resize_picture(picture, (rows, columns), enlarge="linear")
            row[_CAPTION : _CAPTION + rows, start : start + columns] = cell
        text = f"{clip.times[k]:.2f} s  ·  field {k}" if clip.is_timed else f"field {k}"
        draw_text(row, text, (left, _CAPTION + rows + 13), height=11, colour=SOFT)
    facts = f"{clip.num_fields} fields  ·  {clip.method}  ·  full colour {format_scale(scale)} "
    facts += style.unit
    draw_text(row, facts, (row.shape[1], 16), height=12, colour=SOFT, anchor="rs")
    draw_text(row, fit_text(clip.name, row.shape[1] - 380, height=14), (0, 16), height=14)
    return row


def stack_rows(rows: Iterable[Images], style: Style) -> Images:
    """Return the sheet of rows on white, below a line that explains the colours."""
    rows = list(rows)
    height = _TITLE + sum(row.shape[0] for row in rows) + 2 * MARGIN
    sheet = np.full((height, sheet_width(), 3), 255, np.uint8)
    text = f"Frames, and their flow to the next frame: {style.colours}."
    draw_text(sheet, text, (MARGIN, MARGIN + 16), height=14, colour=SOFT)
    top = MARGIN + _TITLE
    for row in rows:
        sheet[top : top + row.shape[0], MARGIN : MARGIN + row.shape[1]] = row
        top += row.shape[0]
    return sheet


def sheet_width() -> int:
    """Return the number of columns of every sheet."""
    return MOMENTS * (2 * CELL + 2) + (MOMENTS - 1) * GAP + 2 * MARGIN


def _spread(clip: Clip, chosen: range) -> list[int]:
    """Return the field with most motion of the three in the middle of each of MOMENTS parts.

    A video whose frame rate was raised repeats frames, and the fields between them are empty.
    """
    parts = np.linspace(0, len(chosen), MOMENTS + 1)
    picked = []
    for start, stop in itertools.pairwise(parts):
        middle = int((start + stop) / 2)
        near = chosen[max(0, middle - 1) : middle + 2]
        picked.append(max(near, key=lambda k: float(np.abs(clip.field(k)).mean())))
    return list(dict.fromkeys(picked))
