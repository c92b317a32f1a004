"""Keys of the colours: a wheel for directions, a bar for values, an arrow for lengths."""

from __future__ import annotations

import cv2
import numpy as np

from flowstream.flow.draw import draw_field
from flowstream.types import Images
from flowstream.view.lettering import SOFT, draw_text

WIDTH = 140
"""Columns of every legend."""

RADIUS = 40
"""Radius of the wheel."""


def format_scale(scale: float) -> str:
    """Write a scale with three digits: `3.25`, `0.0412`, `14.8`."""
    return f"{scale:.3g}"


def wheel_legend(scale: float, height: int, *, field: Images | None = None) -> Images:
    """Return the disc whose colour at each place is that of the vector from the centre.

    Parameters
    ----------
    scale : float
        Speed at the rim, pixels per frame step.
    height : int
        Rows of the picture.
    field : (side, side, 3), uint8, optional
        A drawing of the vectors of the disc in another style of colours.
    """
    picture = np.full((height, WIDTH, 3), 255, np.uint8)
    radius = RADIUS
    left, top = WIDTH // 2 - radius, 22
    disc = draw_field(disc_vectors(radius), max_speed=1.0) if field is None else field
    inside = np.hypot(*disc_vectors(radius)) <= 1
    part = picture[top : top + disc.shape[0], left : left + disc.shape[1]]
    part[inside] = disc[inside]
    middle, right = (WIDTH // 2, top + radius), WIDTH // 2 + radius
    draw_text(picture, "right", (right + 3, middle[1]), height=10, colour=SOFT, anchor="lm")
    draw_text(picture, "up", (middle[0], top - 5), height=10, colour=SOFT, anchor="ms")
    below = (middle[0], top + 2 * radius + 12)
    draw_text(picture, "down", below, height=10, colour=SOFT, anchor="ms")
    draw_text(picture, "left", (left - 3, middle[1]), height=10, colour=SOFT, anchor="rm")
    below = (middle[0], top + 2 * radius + 32)
    draw_text(picture, f"rim {format_scale(scale)}", below, height=13, anchor="ms")
    draw_text(picture, "px/frame", (below[0], below[1] + 16), colour=SOFT, height=12, anchor="ms")
    return picture


def disc_vectors(radius: int) -> np.ndarray:
    """Return the vectors from the centre of a square to its pixels, of length 1 at the rim."""
    steps = np.arange(-radius, radius + 1, dtype=np.float32) / radius
    return np.stack(np.broadcast_arrays(steps[None, :], steps[:, None])).astype(np.float32)


def bar_legend(colours: Images, ends: tuple[str, str, str], height: int, *, unit: str) -> Images:
    """Return a vertical bar of colours, from the smallest value below to the largest above.

    Parameters
    ----------
    colours : (N, 3), uint8
        From the smallest value to the largest.
    ends : smallest, middle, largest
        Text beside the bar.
    height : int
        Rows of the picture.
    unit : str
    """
    picture = np.full((height, WIDTH, 3), 255, np.uint8)
    top, bottom = 14, min(height - 34, 190)
    rows = np.linspace(len(colours) - 1, 0, bottom - top).round().astype(int)
    picture[top:bottom, 16:34] = colours[rows][:, None]
    for text, y in zip(ends, (bottom, (top + bottom) // 2, top), strict=True):
        cv2.line(picture, (34, y), (39, y), SOFT, 1)
        draw_text(picture, text, (45, y), height=13, anchor="lm")
    draw_text(picture, unit, (16, bottom + 20), height=12, colour=SOFT)
    return picture


def add_arrow(picture: Images, length: int, text: str, *, y: int) -> None:
    """Draw a horizontal arrow and the speed that its length means into a legend."""
    x = (picture.shape[1] - length) // 2
    cv2.arrowedLine(picture, (x, y), (x + length, y), SOFT, 2, cv2.LINE_AA, tipLength=0.3)
    draw_text(picture, text, (picture.shape[1] // 2, y + 20), height=12, anchor="ms")
