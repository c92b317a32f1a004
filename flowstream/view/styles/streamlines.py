"""Lines that follow the directions of one field, denser than arrows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flowstream.flow import motion
from flowstream.types import Images, Vectors
from flowstream.view.legends import wheel_legend
from flowstream.view.moment import Moment, Style, measure_speed
from flowstream.view.styles.paths import draw_paths, grid_points

SPACING = 9
"""Canvas pixels between neighbouring lines."""

STEPS = 12
"""Steps of one pixel that a line takes."""

_STILL = 0.08
"""Share of the scale below which a line stops."""


def draw(moment: Moment) -> Images:
    """Draw a line of constant length along the directions from each point of a grid."""
    canvas = moment.background()
    points = grid_points(moment.size, spacing=SPACING / moment.factor)
    directions = _normalise(moment.known_vectors, still=_STILL * moment.scale)
    paths: NDArray[np.float32] = motion.trajectories([directions] * STEPS, points)
    draw_paths(canvas, paths, factor=moment.factor, shortest=2.0, heads=False, width=1)
    return canvas


def _normalise(vectors: Vectors, *, still: float) -> Vectors:
    """Return vectors of length 1, and 0 where the flow is slower than `still`."""
    speed = np.hypot(*vectors)
    unit = vectors / np.maximum(speed, 1e-9)
    return np.where(speed < still, 0, unit).astype(np.float32)


STREAMLINES = Style(
    draw=draw, measure=measure_speed, legend=wheel_legend, beyond="drawn like the others"
)
