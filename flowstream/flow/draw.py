"""Pictures of flow fields in Middlebury's colours: hue says direction, saturation speed."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError
from flowstream.flow.measure import known
from flowstream.flow.motion import check_field
from flowstream.types import Images, Vectors

# Steps between neighbouring main colours, finer where the eye tells more hues apart; from each
# colour to the next, one channel rises or falls.
_WHEEL = (
    ("red to yellow", 15, (255, 0, 0), (0, 1, 0)),
    ("yellow to green", 6, (255, 255, 0), (-1, 0, 0)),
    ("green to cyan", 4, (0, 255, 0), (0, 0, 1)),
    ("cyan to blue", 11, (0, 255, 255), (0, -1, 0)),
    ("blue to magenta", 13, (0, 0, 255), (1, 0, 0)),
    ("magenta to red", 6, (255, 0, 255), (0, 0, -1)),
)

_TOO_FAST = 0.75  # darkening of what is faster than the scale
_SMALLEST_LEGEND = 96
_READABLE = 240  # rows that a panel's pictures have at least
_MARGIN = 12
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def colour_wheel() -> NDArray[np.uint8]:
    """Middlebury's 55 hues in a circle, from red over yellow, green, cyan, blue, magenta.

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
    """A flow field as an RGB picture: white is still, full colour moves at `max_speed`.

    Parameters
    ----------
    vectors : (2, H, W), float32
        Pixels per frame step; unknown vectors (NaN, or 1e9 and beyond) are drawn black.
    max_speed : float, optional
        Speed of full colour, pixels per frame step; what is faster is darker. By default that of
        the fastest known vector, or 1 if nothing moves.

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
    hues = colour_wheel().astype(np.float64)
    # a half turn on, as the authors' program has it, is where their wheel begins
    position = (np.arctan2(-dy, -dx) / np.pi + 1) / 2 * (len(hues) - 1)
    lower = position.astype(np.intp)
    fraction = (position - lower)[..., None]
    hue = (1 - fraction) * hues[lower] + fraction * hues[(lower + 1) % len(hues)]
    speed = np.hypot(dx, dy)[..., None]
    picture = np.where(speed <= 1, 255 - speed * (255 - hue), _TOO_FAST * hue)
    picture[~mask] = 0
    coloured: Images = picture.astype(np.uint8)
    return coloured


def legend(side: int, *, max_speed: float) -> Images:
    """The wheel itself: a disc whose colour at each place is that of the vector from its centre.

    Parameters
    ----------
    side : int
        Rows and columns of the picture, at least 96.
    max_speed : float
        Speed at the disc's rim, pixels per frame step; written below it.

    Returns
    -------
    (side, side, 3), uint8
        RGB on white.

    Raises
    ------
    ParameterError
        If `side` is below 96, or `max_speed` is not above 0.
    """
    if side < _SMALLEST_LEGEND:
        raise ParameterError(f"legend: side: got {side}, expected at least {_SMALLEST_LEGEND}")
    _check_speed(max_speed)
    line = side // 8
    radius = (side - 3 * line) // 2
    middle = side // 2
    centre_y = line + radius
    x = np.arange(side, dtype=np.float32)[None, :] - middle
    y = np.arange(side, dtype=np.float32)[:, None] - centre_y
    vectors = np.stack(np.broadcast_arrays(x, y)) / np.float32(radius)
    inside = np.hypot(x, y) <= radius
    picture = np.where(inside[..., None], draw_field(vectors, max_speed=1.0), 255).astype(np.uint8)
    for end in ((radius, 0), (0, radius)):
        tip = (middle + end[0], centre_y + end[1])
        cv2.arrowedLine(picture, (middle, centre_y), tip, (0, 0, 0), 1, cv2.LINE_AA, tipLength=0.1)
    _write(picture, "dx", (middle + radius + line // 2 + 2, centre_y), height=line)
    _write(picture, "dy", (middle, centre_y + radius + line // 2), height=line)
    label = f"rim: {max_speed:.3g} px/frame"
    _write(picture, label, (middle, side - line // 2), height=line)
    return picture


def panel(rgb: Images | None, vectors: Vectors, *, max_speed: float | None = None) -> Images:
    """A frame, the flow that starts from it and the legend, side by side on white.

    Small frames are enlarged by a whole factor, pixels kept, until the text is readable.

    Parameters
    ----------
    rgb : (H, W, 3), uint8, or None
        The frame; None leaves it out.
    vectors : (2, H, W), float32
        Pixels per frame step.
    max_speed : float, optional
        As for `draw_field`.

    Returns
    -------
    (rows, columns, 3), uint8
        RGB.

    Raises
    ------
    ShapeError
        If `vectors` is not `(2, H, W)`, or the frame is not an RGB picture of its size.
    ParameterError
        If `max_speed` is not above 0.
    """
    pictures = [draw_field(vectors, max_speed=max_speed)]
    if rgb is not None:
        if rgb.shape != pictures[0].shape or rgb.dtype != np.uint8:
            raise ShapeError(
                f"rgb: got {rgb.dtype} of shape {rgb.shape}, "
                f"expected uint8 of shape {pictures[0].shape}, the flow's"
            )
        pictures.insert(0, rgb)
    factor = max(1, math.ceil(_READABLE / vectors.shape[1]))
    pictures = [picture.repeat(factor, axis=0).repeat(factor, axis=1) for picture in pictures]
    speed = _scale(vectors, max_speed)
    return _beside([*pictures, legend(_READABLE, max_speed=speed)])


def _beside(pictures: list[Images]) -> Images:
    """Pictures in a row on white, tops aligned, with a margin around each."""
    rows = max(picture.shape[0] for picture in pictures) + 2 * _MARGIN
    columns = sum(picture.shape[1] + _MARGIN for picture in pictures) + _MARGIN
    sheet = np.full((rows, columns, 3), 255, np.uint8)
    left = _MARGIN
    for picture in pictures:
        height, width = picture.shape[:2]
        sheet[_MARGIN : _MARGIN + height, left : left + width] = picture
        left += width + _MARGIN
    return sheet


def _write(picture: Images, text: str, centre: tuple[int, int], *, height: int) -> None:
    """Write black text about a point (x, y), as large as the height of a line and the sides let."""
    scale = height / 40
    (width, rise), _ = cv2.getTextSize(text, _FONT, scale, 1)
    fits = 2 * min(centre[0], picture.shape[1] - centre[0]) - 4
    if width > fits:
        scale *= fits / width
        (width, rise), _ = cv2.getTextSize(text, _FONT, scale, 1)
    origin = (centre[0] - width // 2, centre[1] + rise // 2)
    cv2.putText(picture, text, origin, _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)


def _scale(vectors: Vectors, max_speed: float | None) -> float:
    if max_speed is not None:
        _check_speed(max_speed)
        return max_speed
    speeds = np.hypot(*vectors[:, known(vectors)].astype(np.float64))
    return float(speeds.max(initial=0)) or 1.0


def _check_speed(max_speed: float) -> None:
    if not 0 < max_speed < math.inf:
        raise ParameterError(f"max_speed: got {max_speed!r}, expected above 0 pixels per frame")
