"""Data sets that grow along their first axis while a stack is written."""

from __future__ import annotations

from typing import Any

import h5py
from numpy.typing import DTypeLike, NDArray

from flowstream.codec import Codec
from flowstream.types import Codes, Size


class Growing:
    """A chunked data set, filled in order.

    Parameters
    ----------
    file : h5py.File
    name : str
    item : tuple of int
        Shape of one entry along the first axis.
    dtype : data type
    chunk : int
        Entries to a chunk.
    filters : mapping
        Of `Compression`.
    """

    def __init__(
        self,
        file: h5py.File,
        name: str,
        item: tuple[int, ...] = (),
        *,
        dtype: DTypeLike,
        chunk: int,
        filters: dict[str, Any],
    ) -> None:
        self.length = 0
        self._data: h5py.Dataset = file.create_dataset(
            name,
            shape=(0, *item),
            maxshape=(None, *item),
            chunks=(chunk, *item),
            dtype=dtype,
            **filters,
        )

    def append(self, values: NDArray[Any]) -> None:
        """Add entries."""
        last = self.length + len(values)
        self._data.resize(last, axis=0)
        self._data[self.length : last] = values
        self.length = last

    def append_one(self, value: NDArray[Any]) -> None:
        """Add one entry, which may be of variable length."""
        self._data.resize(self.length + 1, axis=0)
        self._data[self.length] = value
        self.length += 1


class GrowingFlow:
    """Fields that are encoded and added in order; `num_fields` are there, `at_bound` vectors clip.

    Parameters
    ----------
    file : h5py.File
    name : str
    codec : Codec
    size : (rows, columns)
    filters : mapping
        Of `Compression`.
    """

    def __init__(
        self, file: h5py.File, name: str, *, codec: Codec, size: Size, filters: dict[str, Any]
    ) -> None:
        self.num_fields = self.at_bound = 0
        self._codec, self._size = codec, size
        self._planes = Growing(file, name, size, dtype=codec.dtype, chunk=2, filters=filters)

    def append(self, codes: Codes) -> None:
        """Add fields, `(n, 2, H, W)` as encoded."""
        self._planes.append(codes.reshape(-1, *self._size))
        self.num_fields += len(codes)
        self.at_bound += self._codec.at_bound(codes)

    @property
    def clipped(self) -> float:
        """Fraction of the vectors at the bound."""
        rows, columns = self._size
        return self.at_bound / (self.num_fields * rows * columns)
