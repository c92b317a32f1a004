"""Drawing of fields in Middlebury's colours: hue is direction, saturation speed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError
from flowstream.flow.measure import known
from flowstream.flow.motion import check_field
from flowstream.types import Images, Vectors

# Number of hues from each main colour to the next, and the channel that rises or falls between
# them. There are more hues where the eye distinguishes more.
_WHEEL = (
    ("red to yellow", 15, (255, 0, 0), (0, 1, 0)),
    ("yellow to green", 6, (255, 255, 0), (-1, 0, 0)),
    ("green to cyan", 4, (0, 255, 0), (0, 0, 1)),
    ("cyan to blue", 11, (0, 255, 255), (0, -1, 0)),
    ("blue to magenta", 13, (0, 0, 255), (1, 0, 0)),
    ("magenta to red", 6, (255, 0, 255), (0, 0, -1)),
)

_BEYOND = 0.75  # brightness of vectors that are faster than the scale


def colour_wheel() -> NDArray[np.uint8]:
    """Return Middlebury's colour wheel of 55 hues.

    The order is red, yellow, green, cyan, blue, magenta.

    Returns
    -------
    (55, 3), uint8
        RGB. Motion to the right is red, down yellow, left cyan, up violet.

    References
    ----------
    S. Baker, D. Scharstein, J. P. Lewis, S. Roth, M. J. Black, R. Szeliski, "A Database and
    Evaluation Methodology for Optical Flow", IJCV 2011. doi:10.1007/s11263-010-0390-2; the
    authors' `colorcode.cpp`.
    """
    hues = []
    for _, steps, start, direction in _WHEEL:
        travel = 255 * np.arange(steps) // steps
        hues.append(np.array(start) + travel[:, None] * np.array(direction))
    return np.concatenate(hues).astype(np.uint8)


def draw_field(vectors: Vectors, *, max_speed: float | None = None) -> Images:
    """Draw a flow field as an RGB picture; white is still, full colour is `max_speed`.

    Parameters
    ----------
    vectors : (2, H, W), float32
        Pixels per frame step; unknown vectors (NaN, or 1e9 and beyond) are drawn black.
    max_speed : float, optional
        Speed of full colour, pixels per frame step; faster vectors are darker. The default is the
        speed of the fastest known vector, or 1 if nothing moves.

    Returns
    -------
    (H, W, 3), uint8
        RGB.

    Raises
    ------
    ShapeError
        If `vectors` is not `(2, H, W)`.
    ParameterError
        If `max_speed` is not above 0.
    """
    check_field(vectors, axes=3)
    mask = known(vectors)
    dx, dy = np.where(mask, vectors, 0).astype(np.float64) / _scale(vectors, max_speed)
    hue = _hues(dx, dy)
    speed = np.hypot(dx, dy)[..., None]
    picture = np.where(speed <= 1, 255 - speed * (255 - hue), _BEYOND * hue)
    picture[~mask] = 0
    coloured: Images = picture.astype(np.uint8)
    return coloured


def draw_hues(vectors: Vectors) -> Images:
    """Draw the directions of known vectors `(2, H, W)` in full colour at any speed."""
    check_field(vectors, axes=3)
    coloured: Images = _hues(*vectors.astype(np.float64)).astype(np.uint8)
    return coloured


def _hues(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the RGB colour of each direction, `(H, W, 3)`, 0 to 255."""
    hues = colour_wheel().astype(np.float64)
    # the wheel of the authors' program starts at the negative x axis
    position = (np.arctan2(-dy, -dx) / np.pi + 1) / 2 * (len(hues) - 1)
    lower = position.astype(np.intp)
    fraction = (position - lower)[..., None]
    mixed: NDArray[np.float64] = (1 - fraction) * hues[lower] + fraction * hues[
        (lower + 1) % len(hues)
    ]
    return mixed


def _scale(vectors: Vectors, max_speed: float | None) -> float:
    if max_speed is not None:
        if not 0 < max_speed < math.inf:
            raise ParameterError(
                f"max_speed: expected more than 0 pixels per frame, got {max_speed!r}"
            )
        return max_speed
    speeds = np.hypot(*vectors[:, known(vectors)].astype(np.float64))
    return float(speeds.max(initial=0)) or 1.0
