"""Values of an item while its stack is written: chunk by chunk, or all at the end."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5s
from numpy.typing import NDArray

from flowstream.errors import StackError
from flowstream.store import COMPRESSIONS
from flowstream.store.compression import shuffle
from flowstream.store.header import Header
from flowstream.store.index import BLOCK, digest_of
from flowstream.store.item import Item
from flowstream.store.layout import create_dataset


class Data(ABC):
    """Values of one item, in the order of its first dimension.

    Parameters
    ----------
    file : h5py.File
    item : Item
    header : Header
    """

    def __init__(self, file: h5py.File, item: Item, header: Header) -> None:
        self.file = file
        self.item = item
        self.header = header
        self.length = 0
        self._digest = digest_of()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all values so far, as stored."""
        return (self.length, *self.item.entry_shape(self.header.size))

    @property
    def digest(self) -> str:
        """Digest of all values so far, 32 hexadecimal digits."""
        return self._digest.hexdigest()

    def append(self, values: NDArray[Any], chunks: Sequence[bytes] = ()) -> None:
        """Add entries `(n, ...)` in the stored type; `chunks` holds them compressed, if known."""
        values = np.ascontiguousarray(values)
        if values.size:
            self._digest.update(values.data.cast("B"))
        self.length += len(values)
        self._add(values, chunks)

    @abstractmethod
    def _add(self, values: NDArray[Any], chunks: Sequence[bytes]) -> None:
        """Store entries, or keep them in memory."""

    @abstractmethod
    def finish(self) -> None:
        """Store the remaining entries."""

    @abstractmethod
    def blocks(self) -> NDArray[Any]:
        """Return the places of the values in the file, an array of BLOCK; flush the file first."""

    def _create(self, length: int) -> h5d.DatasetID:
        shape = (length, *self.shape[1:])
        compression = COMPRESSIONS[self.header.compression]
        codec = self.header.codec
        return create_dataset(self.file, self.item, shape, codec=codec, compression=compression)


class ChunkedData(Data):
    """Values that are compressed and written chunk by chunk."""

    def __init__(self, file: h5py.File, item: Item, header: Header) -> None:
        super().__init__(file, item, header)
        self._dataset = self._create(0)
        compression = COMPRESSIONS[header.compression]
        self._compress = compression.compress
        self._width = item.stored_dtype(header.codec).itemsize if compression.filter_id else 1
        self._chunk_bytes = item.chunk * item.entry_bytes(header.size, header.codec)
        self._pending = bytearray()
        self._checksums: list[int] = []

    def _add(self, values: NDArray[Any], chunks: Sequence[bytes]) -> None:
        self._dataset.set_extent(self.shape)
        if len(chunks) * self.item.chunk == len(values) and not self._pending:
            for chunk in chunks:
                self._write_chunk(chunk)
            return
        data = values.data.cast("B") if values.size else memoryview(b"")
        if self._pending:
            self._pending += data
            data = memoryview(bytes(self._pending))
        full = len(data) // self._chunk_bytes * self._chunk_bytes
        for start in range(0, full, self._chunk_bytes):
            self._write(bytes(data[start : start + self._chunk_bytes]))
        self._pending = bytearray(data[full:])

    def _write(self, data: bytes) -> None:
        if self.item.compressed:
            data = self._compress(shuffle(data, self._width))
        self._write_chunk(data)

    def _write_chunk(self, data: bytes) -> None:
        place = (len(self._checksums) * self.item.chunk, *(0 for _ in self.shape[1:]))
        self._dataset.write_direct_chunk(place, data)
        self._checksums.append(zlib.crc32(data))

    def finish(self) -> None:
        """Write the last chunk, filled up with zeros."""
        if self._pending:
            self._write(bytes(self._pending.ljust(self._chunk_bytes, b"\0")))

    def blocks(self) -> NDArray[Any]:
        """Return the places of the chunks in the file, in order."""
        found = np.zeros(len(self._checksums), BLOCK)
        found["crc"] = self._checksums

        def note(chunk: Any) -> None:
            k = chunk.chunk_offset[0] // self.item.chunk
            found["offset"][k], found["length"][k] = chunk.byte_offset, chunk.size

        self._dataset.chunk_iter(note)
        if not found["length"].all():
            raise StackError(f"/{self.item.name}: HDF5 did not store all chunks")
        return found


class KeptData(Data):
    """Values that are kept in memory and written at the end: a few bytes per frame."""

    def __init__(self, file: h5py.File, item: Item, header: Header) -> None:
        super().__init__(file, item, header)
        self._kept = bytearray()

    def _add(self, values: NDArray[Any], chunks: Sequence[bytes]) -> None:
        self._kept += values.tobytes()

    def finish(self) -> None:
        """Write all values."""
        self._dataset = self._create(self.length)
        dtype = self.item.stored_dtype(self.header.codec)
        self._bytes = bytes(self._kept)
        if self.length:
            values = np.frombuffer(self._bytes, dtype).reshape(self.shape)
            self._dataset.write(h5s.ALL, h5s.ALL, values)

    def blocks(self) -> NDArray[Any]:
        """Return the place of the values in the file, as one block; none if there are no values."""
        found = np.zeros(min(self.length, 1), BLOCK)
        if self.length:
            found[0] = (self._dataset.get_offset(), len(self._bytes), zlib.crc32(self._bytes))
        return found
