"""Checks of the arguments of operations on fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ShapeError, did_you_mean


def check_field(vectors: NDArray[Any], *, axes: int | None = None, name: str = "vectors") -> None:
    """Raise `ShapeError` if an array is not a field or a sequence of fields.

    Raises
    ------
    ShapeError
        If `vectors` is not `(..., 2, H, W)`, or its number of axes is not `axes`.
    """
    shape = vectors.shape
    if len(shape) < 3 or shape[-3] != 2 or 0 in shape[-2:] or axes not in (None, len(shape)):
        expected = "(2, H, W)" if axes == 3 else "(..., 2, H, W)"
        raise ShapeError(f"{name}: expected shape {expected} with at least one pixel, got {shape}")


def check_same_shape(one: NDArray[Any], other: NDArray[Any], *, names: tuple[str, str]) -> None:
    """Raise `ShapeError` if two arrays have different shapes.

    Raises
    ------
    ShapeError
        If the shapes differ.
    """
    if one.shape != other.shape:
        raise ShapeError(
            f"{names[1]}: expected shape {one.shape} like {names[0]}, got {other.shape}"
        )


def check_image(image: NDArray[Any], vectors: NDArray[Any], *, name: str = "image") -> None:
    """Raise `ShapeError` if an image does not fit a field.

    Raises
    ------
    ShapeError
        If `image` has another size than the field, or is neither uint8 nor float32.
    """
    rows, columns = vectors.shape[-2:]
    if image.ndim not in (2, 3) or image.shape[:2] != (rows, columns):
        raise ShapeError(
            f"{name}: expected shape ({rows}, {columns}) or ({rows}, {columns}, C) like the flow, "
            f"got {image.shape}"
        )
    if image.dtype not in (np.uint8, np.float32):
        raise ShapeError(f"{name}: expected uint8 or float32, got {image.dtype}")


def check_choice(parameter: str, value: str, known: tuple[str, ...]) -> None:
    """Raise `ParameterError` if a value is not one of the known values.

    Raises
    ------
    ParameterError
        If `value` is not in `known`.
    """
    if value not in known:
        raise ParameterError(
            f"{parameter}: expected one of: {', '.join(known)}; got {value!r}."
            f"{did_you_mean(str(value), known)}"
        )
