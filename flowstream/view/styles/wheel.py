"""Middlebury's colours: hue is direction, saturation is speed, white is still."""

from __future__ import annotations

from flowstream.flow.draw import draw_field
from flowstream.types import Images
from flowstream.view.legends import wheel_legend
from flowstream.view.moment import Moment, Style, measure_speed


def draw(moment: Moment) -> Images:
    """Draw the field in Middlebury's colours."""
    return moment.enlarge(draw_field(moment.vectors, max_speed=moment.scale))


WHEEL = Style(draw=draw, measure=measure_speed, legend=wheel_legend)
