"""Arrows on a grid over the pale frame, coloured by direction."""

from __future__ import annotations

import cv2
import numpy as np

from flowstream.flow.draw import draw_hues
from flowstream.types import Images
from flowstream.view.legends import add_arrow, format_scale, wheel_legend
from flowstream.view.moment import Moment, Style, measure_speed

SPACING = 20
"""Canvas pixels between neighbouring arrows."""

LENGTH = 18
"""Canvas pixels of an arrow at the scale."""

_SHORT = 10
"""Canvas pixels below which an arrow is drawn thin."""

_STILL = 0.06
"""Share of the scale below which there is a dot instead of an arrow."""


def draw(moment: Moment) -> Images:
    """Draw the mean vector of each cell of a grid as an arrow from its centre."""
    canvas = moment.background()
    rows, columns = moment.canvas_size
    across, down = max(1, columns // SPACING), max(1, rows // SPACING)
    # area interpolation takes the mean over each cell
    cells = np.stack(
        [
            cv2.resize(plane, (across, down), interpolation=cv2.INTER_AREA)
            for plane in moment.known_vectors
        ]
    )
    colours = (draw_hues(cells) * 0.8).astype(np.uint8)
    for row in range(down):
        for column in range(across):
            x, y = (column + 0.5) * columns / across, (row + 0.5) * rows / down
            vector = cells[:, row, column] / moment.scale
            _draw_arrow(canvas, (x, y), vector, colour=colours[row, column].tolist())
    return canvas


def _draw_arrow(
    canvas: Images, place: tuple[float, float], vector: np.ndarray, *, colour: list[int]
) -> None:
    speed = float(np.hypot(*vector))
    start = round(place[0]), round(place[1])
    if speed < _STILL:
        cv2.circle(canvas, start, 1, (150, 150, 150), -1, cv2.LINE_AA)
        return
    length = LENGTH * min(speed, 1.5)
    end = (
        round(place[0] + vector[0] / speed * length),
        round(place[1] + vector[1] / speed * length),
    )
    # heads of at most 5 pixels; a thick line would hide that of a short arrow
    tip, width = min(0.4, 5 / length), 1 if length < _SHORT else 2
    cv2.arrowedLine(canvas, start, end, colour, width, cv2.LINE_AA, tipLength=tip)


def legend(scale: float, height: int) -> Images:
    """Return the wheel, and the length of an arrow at the scale."""
    picture = wheel_legend(scale, height)
    add_arrow(picture, LENGTH, f"{format_scale(scale)} px/frame", y=178)
    return picture


ARROWS = Style(draw=draw, measure=measure_speed, legend=legend, beyond="longer, up to 1.5 times")
