"""OpenCV's tutorial colours: hue is direction, brightness is speed, black is still."""

from __future__ import annotations

import cv2
import numpy as np

from flowstream.types import Images, Vectors
from flowstream.view.legends import RADIUS, disc_vectors, wheel_legend
from flowstream.view.moment import Moment, Style, measure_speed


def colour(vectors: Vectors, scale: float) -> Images:
    """Return the colours of vectors `(2, H, W)`; `scale` has full brightness."""
    angle = np.rad2deg(np.arctan2(vectors[1], vectors[0])) % 360
    # OpenCV stores hues of 0 to 360 degrees as 0 to 180
    hue = (angle / 2).astype(np.uint8) % 180
    value = np.minimum(np.hypot(*vectors) / scale, 1) * 255
    hsv = np.stack([hue, np.full_like(hue, 255), value.astype(np.uint8)], axis=-1)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def draw(moment: Moment) -> Images:
    """Draw the field in OpenCV's colours."""
    return moment.enlarge(colour(moment.known_vectors, moment.scale))


def legend(scale: float, height: int) -> Images:
    """Return the disc of these colours."""
    return wheel_legend(scale, height, field=colour(disc_vectors(RADIUS), 1.0))


HSV = Style(
    draw=draw,
    measure=measure_speed,
    legend=legend,
    beyond="as the rim",
    colours="red right, green down, cyan left, violet up",
)
