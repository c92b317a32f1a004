"""Open a stack file for reading without the HDF5 library; see `flowstream.store.index`."""

from __future__ import annotations

import os
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import FlowstreamError, StackError
from flowstream.store.compression import unshuffle
from flowstream.store.header import FORMAT
from flowstream.store.index import END_BYTES, Index, decode_index, index_length
from flowstream.store.index_cache import CACHE
from flowstream.store.pack import is_pack, may_be_pack, open_bytes, read_members

# Words at the start of stacks: all of the first ones, and several of the others, in case of damage.
_FORMAT_1 = (b"format_version", b"\x04flow")
_FORMAT_2 = (b"header_digest", b"CF-1.8", b"Conventions", b"below_step", b"source_modified")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_TAIL = 32768
"""Bytes read first from the end of a file; the index of a clip of 10 s fits."""

_MOST_AT_ONCE = 2**22
"""Bytes of adjacent blocks that are read with one call."""

_HEAD = 65536
"""Bytes searched for the name of the format when a file has no index."""

# Reads at an offset need no lock, and no file position, which forked processes would share.
# Windows has no such call.
_HAS_PREAD = hasattr(os, "pread")

Region = tuple[slice, slice]
"""Rows and columns of fields."""

_BAD_VALUES = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


class OpenedFile:
    """Stack file opened for reading, with its index; may be used by several threads.

    The file is released by `close`, or when the last reference is dropped. `stamp` is the length of
    the file, its modification time and its inode number. While the stamp is the same, an index that
    was read before is not read again.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StackError
        If the file does not exist, or is not a complete stack.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file, self._base, self.size = open_bytes(path)
            self.close = weakref.finalize(self, self._file.close)
            found = os.fstat(self._file.fileno())
        except OSError as error:
            if isinstance(error, StackError):
                raise
            raise StackError(f"{path}: cannot read: {error.strerror}") from error
        self.stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
        # A stack in a pack is a run of bytes of the pack, from `_base`.
        key, stamp = os.fspath(path), (*self.stamp, self._base)
        index = CACHE.find(key, stamp)
        try:
            self.index = index or self._read_index(self.size)
        except BaseException:
            self.close()
            raise
        if index is None:
            CACHE.add(key, stamp, self.index)

    def read_bytes(self, offset: int, length: int) -> bytes:
        """Return the bytes at an offset; fewer at the end of the file."""
        length = min(length, max(0, self.size - offset))
        offset += self._base
        try:
            if _HAS_PREAD:
                return os.pread(self._file.fileno(), length, offset)
            with self._lock:
                self._file.seek(offset)
                return self._file.read(length)
        except OSError as error:
            raise StackError(f"{self.path}: cannot read: {error.strerror}") from error

    def read_block(self, block: NDArray[Any]) -> bytes:
        """Return the stored bytes of a block.

        Raises
        ------
        StackError
            If the checksum differs.
        """
        (data,) = self._read_blocks(block[None])
        return data

    def check_blocks(self, blocks: NDArray[Any]) -> None:
        """Read blocks, and raise `StackError` if the checksum of one differs."""
        for _ in self._read_blocks(blocks):
            pass

    def chunks(self, name: str, first: int, last: int) -> list[bytes]:
        """Return chunks of an item as they are stored."""
        return list(self._read_blocks(self.index.items[name].blocks[first:last]))

    def read(
        self, name: str, start: int, stop: int, *, region: Region | None = None
    ) -> NDArray[Any]:
        """Return the stored entries `start` to `stop` of an item, in a new array.

        Parameters
        ----------
        name : str
        start, stop : int
        region : pair of slices, optional
            Rows and columns to return; only for items whose last two dimensions are y and x.

        Raises
        ------
        StackError
            If the entries are damaged.
        """
        stored, header = self.index.items[name], self.index.header
        entry = region_shape(stored.item.entry_shape(header.size), region)
        values = np.empty((stop - start, *entry), stored.item.stored_dtype(header.codec))
        for first, entries in self.pieces(name, start, stop):
            chosen = entries if region is None else entries[..., region[0], region[1]]
            values[first : first + len(entries)] = chosen
        return values

    def pieces(self, name: str, start: int, stop: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the stored entries `start` to `stop` of an item chunk by chunk.

        Yields
        ------
        first : int
            Index of the first entry of the piece, counted from `start`.
        entries : array
            Entries, not writable.

        Raises
        ------
        StackError
            If the entries are damaged.
        """
        stored, header = self.index.items[name], self.index.header
        item, dtype = stored.item, stored.item.stored_dtype(header.codec)
        entry = item.entry_shape(header.size)
        if start == stop:
            return
        count = item.chunk or stored.shape[0]
        first, last = start // count, -(-stop // count)
        length = count * item.entry_bytes(header.size, header.codec)
        for k, data in enumerate(self._read_blocks(stored.blocks[first:last]), first):
            values = data
            if item.compressed:
                values = self._decompress(item.name, data, length=length, width=dtype.itemsize)
            entries = np.frombuffer(values, dtype).reshape(-1, *entry)
            begin = max(start, k * count)
            yield begin - start, entries[begin - k * count : stop - k * count]

    def _read_blocks(self, blocks: NDArray[Any]) -> Iterator[bytes]:
        """Yield the bytes of blocks; adjacent blocks in the file are read at once."""
        places = blocks.tolist()
        at = 0
        while at < len(places):
            begin, length, _ = places[at]
            last = at + 1
            while (
                last < len(places)
                and places[last][0] == begin + length
                and length + places[last][1] <= _MOST_AT_ONCE
            ):
                length += places[last][1]
                last += 1
            data = self.read_bytes(begin, length)
            for offset, size, crc in places[at:last]:
                block = data[offset - begin : offset - begin + size]
                if len(block) != size or zlib.crc32(block) != crc:
                    raise StackError(
                        f"{self.path}: damaged at byte {offset}: a checksum differs; "
                        "extract it again"
                    )
                yield block
            at = last

    def _decompress(self, name: str, data: bytes, *, length: int, width: int) -> bytes:
        """Return the values of a chunk, in C order."""
        compression = self.index.compression
        try:
            data = compression.decompress(data, length)
        except StackError as error:
            raise StackError(f"{self.path}: /{name}: {error}") from error
        return unshuffle(data, width) if compression.filter_id else data

    def _read_index(self, size: int) -> Index:
        tail = self.read_bytes(max(0, size - _TAIL), _TAIL)
        found = index_length(tail[-END_BYTES:])
        if found is None:
            raise StackError(f"{self.path}: {self._reason(size)}")
        length, start = found
        if start + length != size:
            raise StackError(f"{self.path}: damaged: its index is at a wrong offset")
        if length > len(tail):
            tail = self.read_bytes(start, length)
        with one_line(self.path):
            return decode_index(tail[-length:])

    def _reason(self, size: int) -> str:
        """Return the reason why a file has no index."""
        head = self.read_bytes(0, _HEAD)
        if not head:
            return "an empty file, expected a stack"
        if not head.startswith(_SIGNATURE):
            return "not an HDF5 file, expected a stack"
        if is_pack(self.path):
            example = self.path / next(iter(read_members(self.path)), "NAME.h5")
            return f"a pack of stacks, expected one stack; name a stack in it, such as {example}"
        if may_be_pack(self.path):
            return "a pack of stacks, damaged or truncated; pack it again"
        if FORMAT.encode() not in head:
            return "an HDF5 file, but not a stack of flowstream, or truncated"
        if not any(mark in head for mark in _FORMAT_2):
            if all(mark in head for mark in _FORMAT_1):
                return "a stack of format 1, which this version cannot read; extract it again"
            return "an HDF5 file with the attributes of a stack, but damaged or without fields"
        # Superblock of version 3: signature, 4 bytes, base address, extension, end of the file.
        if size < int.from_bytes(head[28:36], "little"):
            return "truncated; extract it again"
        return "was changed by another program, or truncated; extract it again"


def region_shape(entry: tuple[int, ...], region: Region | None) -> tuple[int, ...]:
    """Return the shape of the part of an entry in a region."""
    if region is None:
        return entry
    sides = zip(entry[-2:], region, strict=True)
    return (*entry[:-2], *(len(range(*part.indices(side))) for side, part in sides))


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Convert errors of reading a damaged file to a `StackError` of one line with the path."""
    try:
        yield
    except FlowstreamError as error:
        text = str(error)
        if text.startswith(str(path)):
            raise
        raise StackError(f"{path}: {text}") from error
    except _BAD_VALUES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StackError(f"{path}: damaged: {reason}") from error
