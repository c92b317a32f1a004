"""Open a stack file for reading without the HDF5 library; see `flowstream.store.index`."""

from __future__ import annotations

import os
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from flowstream.disk import open_regular
from flowstream.errors import FlowstreamError, StackError
from flowstream.store.compression import unshuffle
from flowstream.store.header import FORMAT
from flowstream.store.index import END_BYTES, Index, Stored, decode_index, index_length
from flowstream.store.pack import read_members, split_member

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_TAIL = 32768
"""Bytes read first from the end of a file; the index of a clip of 10 s fits."""

_HEAD = 65536
"""Bytes searched for the name of the format when a file has no index."""

# Reads at an offset need no lock, and no position that a forked process would share; Windows has
# no such call.
_HAS_PREAD = hasattr(os, "pread")

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

    `close` releases the file, as does dropping the last reference. `stamp` is the length of the
    file and the time of its last change.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StackError
        If there is no such file, or it is not a complete stack.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file, member = _open(path)
            self.close = weakref.finalize(self, self._file.close)
            found = os.fstat(self._file.fileno())
        except OSError as error:
            if isinstance(error, StackError):
                raise
            raise StackError(f"{path}: cannot read: {error.strerror}") from error
        self.stamp = (found.st_size, found.st_mtime_ns)
        # A stack in a pack is a run of bytes of the pack.
        self._base, self.size = member or (0, found.st_size)
        try:
            self.index = self._read_index(self.size)
        except BaseException:
            self.close()
            raise

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
        """Return the bytes of a block as they are stored.

        Raises
        ------
        StackError
            If their checksum differs.
        """
        offset, length, crc = block.tolist()
        data = self.read_bytes(offset, length)
        if len(data) != length or zlib.crc32(data) != crc:
            raise StackError(
                f"{self.path}: damaged at byte {offset}: a checksum differs; extract it again"
            )
        return data

    def read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return the stored entries `start` to `stop` of an item, in a new array.

        Raises
        ------
        StackError
            If they are damaged.
        """
        stored, header = self.index.items[name], self.index.header
        item, dtype = stored.item, stored.item.stored_dtype(header.codec)
        entry = item.entry_shape(header.size)
        if start == stop:
            return np.empty((0, *entry), dtype)
        if not item.chunk:
            chunks, first = [self.read_block(stored.blocks[0])], 0
        else:
            first, last = start // item.chunk, -(-stop // item.chunk)
            chunks = [self._read_chunk(stored, k) for k in range(first, last)]
        # An array over bytes could not be written to, one over a bytearray can.
        values = np.frombuffer(bytearray().join(chunks), dtype).reshape(-1, *entry)
        skipped = start - first * item.chunk
        return values[skipped : skipped + stop - start]

    def _read_chunk(self, stored: Stored, k: int) -> bytes:
        item, header = stored.item, self.index.header
        data = self.read_block(stored.blocks[k])
        if not item.compressed:
            return data
        raw = item.chunk * item.entry_bytes(header.size, header.codec)
        compression = self.index.compression
        try:
            data = compression.decompress(data, raw)
        except StackError as error:
            raise StackError(f"{self.path}: /{item.name}: {error}") from error
        width = item.stored_dtype(header.codec).itemsize if compression.filter_id else 1
        return unshuffle(data, width)

    def _read_index(self, size: int) -> Index:
        tail = self.read_bytes(max(0, size - _TAIL), _TAIL)
        found = index_length(tail[-END_BYTES:])
        if found is None:
            raise StackError(f"{self.path}: {self._reason(size)}")
        length, start = found
        if start + length != size:
            raise StackError(f"{self.path}: damaged: its index is not where it should be")
        if length > len(tail):
            tail = self.read_bytes(start, length)
        with one_line(self.path):
            return decode_index(tail[-length:])

    def _reason(self, size: int) -> str:
        """Say why a file has no index."""
        head = self.read_bytes(0, _HEAD)
        if not head:
            return "an empty file, expected a stack"
        if not head.startswith(_SIGNATURE):
            return "not an HDF5 file, expected a stack"
        if FORMAT.encode() not in head:
            return "an HDF5 file, but not a stack of flowstream, or truncated"
        if b"header_digest" not in head:
            return "a stack of format 1, which this version cannot read; extract it again"
        # Superblock of version 3: signature, 4 bytes, base address, extension, end of the file.
        if size < int.from_bytes(head[28:36], "little"):
            return "truncated; extract it again"
        return "was changed by another program, or truncated; extract it again"


def _open(path: Path) -> tuple[IO[bytes], tuple[int, int] | None]:
    """Open a stack file, or the pack that holds it; with its place in the pack."""
    try:
        return open_regular(path, buffering=0), None
    except (NotADirectoryError, FileNotFoundError):
        found = split_member(path)
        if found is None:
            raise
        pack, name = found
        members = read_members(pack)
        if name not in members:
            raise StackError(f"{path}: no such stack in the pack {pack}") from None
        return open_regular(pack, buffering=0), members[name]


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into a `StackError` of one line with the path."""
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
