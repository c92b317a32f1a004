"""Colour maps of single values."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.types import Images


@cache
def sequential(name: str) -> NDArray[np.uint8]:
    """Return the 256 RGB colours of one of OpenCV's maps, such as "viridis"."""
    steps = np.arange(256, dtype=np.uint8)[:, None]
    coloured = cv2.applyColorMap(steps, getattr(cv2, f"COLORMAP_{name.upper()}"))
    return np.ascontiguousarray(coloured[:, 0, ::-1])


@cache
def diverging() -> NDArray[np.uint8]:
    """Return 255 RGB colours from blue over near-white to red; the middle one means zero."""
    stops = np.array(
        [(33, 74, 148), (103, 155, 208), (247, 247, 247), (226, 130, 99), (158, 28, 40)], float
    )
    x = np.linspace(0, len(stops) - 1, 255)
    channels = [np.interp(x, np.arange(len(stops)), stops[:, c]) for c in range(3)]
    colours: NDArray[np.uint8] = np.stack(channels, axis=1).round().astype(np.uint8)
    return colours


def colour(
    values: NDArray[np.floating], colours: NDArray[np.uint8], *, low: float, high: float
) -> Images:
    """Return the colours of values; those beyond the ends get the end's colour."""
    place = (np.clip(values, low, high) - low) / (high - low) * (len(colours) - 1)
    picture: Images = colours[np.nan_to_num(place).round().astype(np.intp)]
    return picture
