"""Declaration of a dataset of a stack file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.types import Size

DIMENSIONS: Mapping[str, Callable[[Size, int], int]] = {
    "frame": lambda size, frames: frames,
    "pair": lambda size, frames: frames - 1,
    "plane": lambda size, frames: 2 * (frames - 1),
    "y": lambda size, frames: size[0],
    "x": lambda size, frames: size[1],
    "x8": lambda size, frames: -(-size[1] // 8),
    "row": lambda size, frames: 3,
    "column": lambda size, frames: 3,
}
"""Length of each named dimension, from the size of a field and the number of frames.

A first dimension with another name is as long as the data.
"""

COORDINATE = "frame"
"""Item that holds the values of the dimension of the same name."""


@dataclass(frozen=True)
class Item:
    """Dataset of a stack file.

    Parameters
    ----------
    name : str
        Name of the HDF5 dataset, without the slash.
    dtype : str
        Type of the stored values: a NumPy type code, or "codec" for the codec's type.
    dimensions : tuple of str
        Names of its dimensions; see `DIMENSIONS`. The first one grows while the file is written.
    long_name : str
        Meaning, in one line; stored as the attribute `long_name`.
    units : str
        Units of the values as CF defines them; "1" for pure numbers.
    chunk : int
        Entries along the first dimension in each chunk. 0: the item is kept in memory while the
        file is written, and stored contiguously at the end.
    compressed : bool
        True if the chunks are compressed.
    packing : str
        "codec": flow vectors, stored as codes; "bits": boolean values, eight to a byte along the
        last dimension; "none": stored as they are.
    output : str or None
        Optional output that the item belongs to; None for items of every stack.
    option : str
        Option of `flowstream extract` that stores the item.
    check : function or None
        Raises `ValueError` if stored entries `(n, ...)` are invalid.
    """

    name: str
    dtype: str
    dimensions: tuple[str, ...]
    long_name: str
    units: str = "1"
    chunk: int = 0
    compressed: bool = False
    packing: str = "none"
    output: str | None = None
    option: str = ""
    check: Callable[[NDArray[Any]], None] | None = None

    def stored_dtype(self, codec: Codec) -> np.dtype[Any]:
        """Return the type of the stored values, little-endian."""
        dtype = codec.dtype if self.dtype == "codec" else np.dtype(self.dtype)
        little: np.dtype[Any] = dtype.newbyteorder("<")
        return little

    def entry_shape(self, size: Size) -> tuple[int, ...]:
        """Return the shape of one entry along the first dimension, as stored."""
        return tuple(DIMENSIONS[name](size, 0) for name in self.dimensions[1:])

    def entry_bytes(self, size: Size, codec: Codec) -> int:
        """Return the number of bytes of one entry before compression."""
        return math.prod(self.entry_shape(size)) * self.stored_dtype(codec).itemsize

    def length(self, size: Size, num_frames: int) -> int | None:
        """Return the number of entries for `num_frames`; None if it depends on the data."""
        rule = DIMENSIONS.get(self.dimensions[0])
        return None if rule is None else rule(size, num_frames)


def check_finite(values: NDArray[Any]) -> None:
    """Raise `ValueError` if a value is not finite."""
    if not np.isfinite(values).all():
        raise ValueError("holds values that are not finite")


def check_fractions(values: NDArray[Any]) -> None:
    """Raise `ValueError` if a value is not from 0 to 1."""
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("holds values outside 0 to 1")


def check_indices(values: NDArray[Any]) -> None:
    """Raise `ValueError` if indices are negative or decrease."""
    if len(values) and (values[0] < 0 or (np.diff(values.astype(np.int64)) < 0).any()):
        raise ValueError("holds indices that are negative or decrease")
