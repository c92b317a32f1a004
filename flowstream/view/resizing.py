"""Pictures at other sizes."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from flowstream.types import Images

_ENLARGE = {"pixels": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


def fit_columns(picture: Images, columns: int) -> tuple[int, int]:
    """Return (rows, columns) of a picture at another width and the same aspect ratio."""
    return max(1, round(picture.shape[0] * columns / picture.shape[1])), columns


def resize_picture(
    picture: Images, size: tuple[int, int], *, enlarge: Literal["pixels", "linear", "cubic"]
) -> Images:
    """Resize a picture to (rows, columns); shrinking takes the mean over areas."""
    rows, columns = size
    shrinks = columns < picture.shape[1]
    how = cv2.INTER_AREA if shrinks else _ENLARGE[enlarge]
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=how), np.uint8)
