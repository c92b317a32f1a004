"""Lines along which points move, as coloured polylines on a canvas."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flowstream.flow.draw import draw_hues
from flowstream.types import Images, Size

_SHIFT = 4


def grid_points(size: Size, *, spacing: float) -> NDArray[np.float32]:
    """Return the points `(P, 2)`, x and y, of a regular grid over a field."""
    rows, columns = size
    across, down = max(1, round(columns / spacing)), max(1, round(rows / spacing))
    x = (np.arange(across) + 0.5) * columns / across - 0.5
    y = (np.arange(down) + 0.5) * rows / down - 0.5
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)


def draw_paths(
    canvas: Images,
    paths: NDArray[np.float32],
    *,
    factor: int,
    shortest: float,
    heads: bool = True,
    width: int = 2,
) -> None:
    """Draw polylines into a canvas; each is coloured by its overall direction.

    Parameters
    ----------
    canvas : (H, W, 3), uint8
        Modified in place.
    paths : (S, P, 2)
        x and y in pixels of the field at each step; NaN ends a path.
    factor : int
        Canvas pixels per pixel.
    shortest : float
        Paths whose ends are closer than this are left out, pixels of the field.
    heads : bool
        Mark the end of each path by a dot.
    width : int
        Of the lines, canvas pixels.
    """
    for path in paths.swapaxes(0, 1):
        known = path[np.isfinite(path).all(axis=1)]
        if len(known) < 2:
            continue
        shift = known[-1] - known[0]
        if np.hypot(*shift) < shortest:
            continue
        colour = (draw_hues(shift.reshape(2, 1, 1).astype(np.float32))[0, 0] * 0.85).tolist()
        place = (known + 0.5) * factor - 0.5
        fixed = np.rint(place * 2**_SHIFT).astype(np.int32)[:, None]
        cv2.polylines(canvas, [fixed], False, colour, width, cv2.LINE_AA, _SHIFT)
        if heads:
            x, y = (round(float(value)) for value in place[-1])
            cv2.circle(canvas, (x, y), width + 1, colour, -1, cv2.LINE_AA)
