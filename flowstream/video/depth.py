"""Mapping of sample values with more than 8 bits to 8 bits, one mapping for a whole video.

Thermal, depth and microscopy cameras store counts in 16 bits and use a small part of the range. The
usual conversion, which drops the low 8 bits, would reduce them to a few grey levels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError
from flowstream.types import Images

# Below this share of the full range, the usual conversion leaves fewer than 64 of 256 grey levels.
_LITTLE = 0.25
# Share of pixels left out at either end: a few dead or hot pixels must not set the contrast.
_TAIL = 0.001
_GIVEN = re.compile(r"(?P<low>[-+.\deE]+):(?P<high>[-+.\deE]+)")


@dataclass(frozen=True)
class DepthRange:
    """Linear mapping of sample values: `low` becomes 0, `high` becomes 255.

    Parameters
    ----------
    low, high : float
        Sample values in the units of the source: counts of a 16-bit image, codes of a 10-bit video.
    """

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.9g}:{self.high:.9g}"

    def apply(self, values: NDArray[Any]) -> Images:
        """Return the values as 8-bit levels; values outside the range are clipped."""
        scale = np.float32(255 / (self.high - self.low))
        levels = (values.astype(np.float32) - np.float32(self.low)) * scale
        return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


@dataclass(frozen=True, eq=False)
class Codes:
    """Stored sample values of one frame."""

    values: NDArray[Any]
    """(H, W) or (H, W, 3), unsigned 16-bit integers or floats."""
    black: float
    """Value that stands for black in the usual conversion."""
    white: float
    """Value that stands for white in the usual conversion."""

    def span(self) -> tuple[float, float]:
        """Return the range of the values without the extreme 0.1 % at either end."""
        values = self.values.ravel()
        if values.dtype != np.uint16:
            values = values[np.isfinite(values)]
            if not values.size:
                return self.black, self.white
            low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
            return float(low), float(high)
        below = np.cumsum(np.bincount(values, minlength=1 << 16))
        tail = int(_TAIL * values.size)
        low = int(np.searchsorted(below, tail, side="right"))
        high = int(np.searchsorted(below, values.size - tail, side="left"))
        return float(low), float(high)


def parse_depth_range(text: str) -> DepthRange | None:
    """Return the range that a `LO:HI` string gives; None for `auto` and `full`.

    Raises
    ------
    ParameterError
        If the text is none of the three.
    """
    if text in ("auto", "full"):
        return None
    match = _GIVEN.fullmatch(text)
    try:
        low, high = (float(match["low"]), float(match["high"])) if match else (math.nan, 0.0)
    except ValueError:
        low, high = math.nan, 0.0
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ParameterError(
            f"depth_range: got {text!r}, expected 'auto', 'full' or LO:HI with LO < HI"
        )
    return DepthRange(low, high)


def measure_depth_range(frames: Iterable[Codes]) -> DepthRange | None:
    """Return the range that the frames use, or None if they use much of the full range.

    Frames are consumed only until the range is known to be large.
    """
    low, high = math.inf, -math.inf
    for codes in frames:
        lowest, highest = codes.span()
        low, high = min(low, lowest), max(high, highest)
        if codes.values.dtype == np.uint16 and high - low > _LITTLE * (codes.white - codes.black):
            return None
    return DepthRange(low, high) if high > low else None
