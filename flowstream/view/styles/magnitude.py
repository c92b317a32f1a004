"""Speed alone, in viridis: dark is still, yellow is fast."""

from __future__ import annotations

from flowstream.types import Images
from flowstream.view.legends import bar_legend, format_scale
from flowstream.view.moment import Moment, Style, measure_speed
from flowstream.view.styles.maps import colour, sequential


def draw(moment: Moment) -> Images:
    """Draw the length of each vector."""
    return moment.enlarge(colour(moment.speed, sequential("viridis"), low=0.0, high=moment.scale))


def legend(scale: float, height: int) -> Images:
    """Return the bar of speeds."""
    ends = ("0", format_scale(scale / 2), format_scale(scale))
    return bar_legend(sequential("viridis"), ends, height, unit="px/frame")


MAGNITUDE = Style(
    draw=draw,
    measure=measure_speed,
    legend=legend,
    beyond="as the top",
    colours="dark blue still, yellow fast",
)
