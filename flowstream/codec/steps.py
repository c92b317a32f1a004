"""Compiled loops of 8-bit codecs: one pass over memory where NumPy needs five to ten.

Decoding a window of ten fields takes 0.2 ms, with NumPy 0.5 ms. Encoding a pair of 320x240 and
counting its losses takes 0.2 ms, with NumPy 1 ms. All results are equal bit for bit.
Loading numba takes some tenths of a second, so codecs use these loops for large arrays only.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from flowstream.types import Codes, Vectors

_ZERO = np.float32(0)
_CENTRE = np.float32(128)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def decode_centred(codes: Codes, scale: Any, vectors: Vectors) -> None:
    """Write `(code - 128) * scale` of codes `(n, H, W)` to `vectors`."""
    for i in range(codes.shape[0]):
        for y in range(codes.shape[1]):
            for x in range(codes.shape[2]):
                vectors[i, y, x] = (np.float32(codes[i, y, x]) - _CENTRE) * scale


@numba.njit(nogil=True, cache=True, error_model="numpy")
def encode_centred(
    vectors: NDArray[np.float32], codes: NDArray[np.uint8], range_and_steps: Any
) -> bool:
    """Write the codes of flat `vectors` to `codes`; return False if a value is not finite.

    `range_and_steps` holds the bound and the number of steps per pixel.
    """
    bound, inverse = range_and_steps
    finite = True
    for i in range(vectors.size):
        value = vectors[i]
        finite &= np.abs(value) < np.float32(np.inf)
        clipped = min(max(value, -bound), bound)
        codes[i] = np.uint8(np.rint(clipped * inverse) + _CENTRE)
    return finite


@numba.njit(nogil=True, cache=True, error_model="numpy")
def count_centred(
    vectors: NDArray[np.float32], codes: NDArray[np.uint8], moving: Any
) -> tuple[int, int]:
    """Count the vectors `(n, 2, pixels)` longer than `moving`, and those of them stored as zero."""
    total = lost = 0
    squared = moving * moving
    for i in range(codes.shape[0]):
        for k in range(codes.shape[2]):
            dx, dy = vectors[i, 0, k], vectors[i, 1, k]
            moves = dx * dx + dy * dy > squared
            zero = (codes[i, 0, k] == 128) & (codes[i, 1, k] == 128)
            total += moves
            lost += moves & zero
    return total, lost
