"""What every operation on fields refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError, did_you_mean


def check_field(vectors: NDArray[Any], *, axes: int | None = None, name: str = "vectors") -> None:
    """Refuse what is not `(..., 2, H, W)`, or has another number of axes than `axes`.

    Raises
    ------
    ShapeError
    """
    shape = vectors.shape
    if len(shape) < 3 or shape[-3] != 2 or 0 in shape[-2:] or axes not in (None, len(shape)):
        expected = "(2, H, W)" if axes == 3 else "(..., 2, H, W)"
        raise ShapeError(f"{name}: got shape {shape}, expected {expected} of at least one pixel")


def check_same_shape(one: NDArray[Any], other: NDArray[Any], *, names: tuple[str, str]) -> None:
    """Refuse two fields, or stacks of them, of different shapes.

    Raises
    ------
    ShapeError
    """
    if one.shape != other.shape:
        raise ShapeError(f"{names[1]}: got shape {other.shape}, expected {one.shape} as {names[0]}")


def check_image(image: NDArray[Any], vectors: NDArray[Any], *, name: str = "image") -> None:
    """Refuse what is not an image of the size of a field, uint8 or float32.

    Raises
    ------
    ShapeError
    """
    rows, columns = vectors.shape[-2:]
    if image.ndim not in (2, 3) or image.shape[:2] != (rows, columns):
        raise ShapeError(
            f"{name}: got shape {image.shape}, expected ({rows}, {columns}) as the flow, "
            "or that and channels"
        )
    if image.dtype not in (np.uint8, np.float32):
        raise ShapeError(f"{name}: got {image.dtype}, expected uint8 or float32")


def check_choice(parameter: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is none of the known ones.

    Raises
    ------
    ParameterError
    """
    if value not in known:
        raise ParameterError(
            f"{parameter}: got {value!r}, expected one of: {', '.join(known)}."
            f"{did_you_mean(str(value), known)}"
        )
