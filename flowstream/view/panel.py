"""One picture of a moment: the frame, the drawing, the legend and a caption."""

from __future__ import annotations

import math

import numpy as np

from flowstream.types import Images, Size
from flowstream.view.clip import Clip
from flowstream.view.legends import WIDTH, format_scale
from flowstream.view.lettering import SOFT, draw_text, fit_text
from flowstream.view.moment import Moment, Style

MARGIN = 14
ROWS = 300
"""Rows that a drawing has at least; smaller fields are enlarged by a whole factor."""

COLUMNS = 1600
"""Columns up to which wide fields are enlarged."""

_LEGEND_ROWS = 214


def choose_factor(size: Size) -> int:
    """Return the factor by which fields of (rows, columns) are enlarged."""
    rows, columns = size
    return max(1, min(math.ceil(ROWS / rows), COLUMNS // columns))


def draw_panel(clip: Clip, k: int, style: Style, *, scale: float, with_rgb: bool = False) -> Images:
    """Draw field k of a clip with its legend and caption.

    Parameters
    ----------
    clip : Clip
    k : int
        Number of the field.
    style : Style
    scale : float
        Value of full colour.
    with_rgb : bool
        Put the frame to the left of the drawing, where the clip has frames.

    Returns
    -------
    (rows, columns, 3), uint8
        RGB; of the same size for every field of a clip, with even sides as films need them.
    """
    moment = clip.moment(k, style, scale=scale, factor=choose_factor(clip.size))
    pictures = [style.draw(moment)]
    if with_rgb and moment.first is not None:
        pictures.insert(0, moment.smooth(moment.first))
    height = max(pictures[0].shape[0], _LEGEND_ROWS)
    width = sum(picture.shape[1] + MARGIN for picture in pictures) + MARGIN + WIDTH
    rows, columns = height + 2 * MARGIN + 40, width + MARGIN
    sheet = np.full((rows + rows % 2, columns + columns % 2, 3), 255, np.uint8)
    left = MARGIN
    for picture in pictures:
        sheet[MARGIN : MARGIN + picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + MARGIN
    sheet[MARGIN : MARGIN + _LEGEND_ROWS, left : left + WIDTH] = style.legend(scale, _LEGEND_ROWS)
    _write_caption(sheet, clip.caption(k), beyond_text(moment, style, scale), y=MARGIN + height)
    return sheet


def beyond_text(moment: Moment, style: Style, scale: float) -> str:
    """Return the fraction of a field above the scale and its appearance, as text."""
    share = float((style.measure(moment) > scale * 1.0001).mean())
    return f"{share:.1%} above {format_scale(scale)} {style.unit} ({style.beyond})"


def _write_caption(sheet: Images, caption: str, beyond: str, *, y: int) -> None:
    width = sheet.shape[1] - 2 * MARGIN
    draw_text(sheet, fit_text(caption, width, height=14), (MARGIN, y + 20), height=14)
    text = fit_text(beyond, width, height=12)
    draw_text(sheet, text, (MARGIN, y + 38), height=12, colour=SOFT)
