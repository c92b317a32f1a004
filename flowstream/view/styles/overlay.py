"""Middlebury's colours over the frame; still pixels are grey."""

from __future__ import annotations

import numpy as np

from flowstream.flow.draw import draw_hues
from flowstream.types import Images
from flowstream.view.legends import wheel_legend
from flowstream.view.moment import Moment, Style, measure_speed

_OPACITY = 0.85


def draw(moment: Moment) -> Images:
    """Blend the colour of the direction into the grey frame; the opacity is the speed."""
    hues = moment.enlarge(draw_hues(moment.known_vectors)).astype(np.float32)
    share = np.minimum(moment.speed / moment.scale, 1) ** 0.75 * _OPACITY
    opacity = moment.enlarge((255 * share).astype(np.uint8))[..., None] / np.float32(255)
    mixed = moment.background(contrast=0.8) * (1 - opacity) + hues * opacity
    picture: Images = mixed.astype(np.uint8)
    return picture


OVERLAY = Style(draw=draw, measure=measure_speed, legend=wheel_legend, beyond="as the rim")
