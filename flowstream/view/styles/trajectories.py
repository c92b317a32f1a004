"""Paths of the points of a grid over the next fields."""

from __future__ import annotations

import numpy as np

from flowstream.flow import motion
from flowstream.types import Images
from flowstream.view.legends import wheel_legend
from flowstream.view.moment import Moment, Style, measure_speed
from flowstream.view.styles.paths import draw_paths, grid_points

FIELDS = 12
"""Number of frame steps that points are followed."""

SPACING = 14
"""Canvas pixels between neighbouring points."""


def draw(moment: Moment) -> Images:
    """Draw the path of each grid point over the next fields; a dot marks its end."""
    canvas = moment.background(contrast=0.55)
    points = grid_points(moment.size, spacing=SPACING / moment.factor)
    fields = moment.following or (moment.known_vectors,)
    paths = motion.trajectories(np.stack(fields), points)
    # what has moved less than half a pixel over all fields is taken to be still
    draw_paths(canvas, paths, factor=moment.factor, shortest=0.5, width=1)
    return canvas


TRAJECTORIES = Style(
    draw=draw,
    measure=measure_speed,
    legend=wheel_legend,
    beyond="longer lines",
    fields=FIELDS,
)
