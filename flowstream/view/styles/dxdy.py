"""The two components side by side: blue is left or up, red is right or down."""

from __future__ import annotations

import numpy as np

from flowstream.types import Images
from flowstream.view.legends import bar_legend, format_scale
from flowstream.view.lettering import draw_text
from flowstream.view.moment import Moment, Style, measure_speed
from flowstream.view.styles.maps import colour, diverging


def draw(moment: Moment) -> Images:
    """Draw dx on the left and dy on the right."""
    pictures = []
    for name, plane in zip(("dx", "dy"), moment.known_vectors, strict=True):
        picture = moment.enlarge(colour(plane, diverging(), low=-moment.scale, high=moment.scale))
        draw_text(picture, name, (8, 20), height=15)
        pictures.append(picture)
    gap = np.full((pictures[0].shape[0], 8, 3), 255, np.uint8)
    return np.concatenate([pictures[0], gap, pictures[1]], axis=1)


def legend(scale: float, height: int) -> Images:
    """Return the bar of components."""
    ends = (f"-{format_scale(scale)}", "0", f"+{format_scale(scale)}")
    return bar_legend(diverging(), ends, height, unit="px/frame")


DXDY = Style(
    draw=draw,
    measure=measure_speed,
    legend=legend,
    beyond="as the ends",
    colours="blue left or up, red right or down",
)
