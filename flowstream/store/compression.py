"""Compression of the chunks of a stack, done here rather than by the HDF5 library.

The writer stores chunks that are already compressed (`H5Dwrite_chunk`), and the reader decompresses
them itself, so neither waits for HDF5's global lock. Each compression is also recorded as the HDF5
filter of the same format, with which any HDF5 reader reads the file.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import zstandard

from flowstream.errors import StackError

ZSTD_FILTER = 32015
"""Number of Zstandard in the HDF Group's registry of filters; readers get it from hdf5plugin."""


@dataclass(frozen=True)
class Compression:
    """Compression of byte strings, and the HDF5 filter that undoes it.

    Parameters
    ----------
    compress : function
        From bytes to compressed bytes.
    decompress : function
        From compressed bytes and the exact number of bytes that they must give.
    max_ratio : int
        Largest number of bytes that one compressed byte can stand for. A chunk that claims more is
        refused before memory is allocated for it.
    filter_id, filter_options
        Number and parameters of the HDF5 filter; 0 for none.
    """

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]
    max_ratio: int
    filter_id: int = 0
    filter_options: tuple[int, ...] = ()


_local = threading.local()


def _compress_zstd(data: bytes, level: int) -> bytes:
    # A compressor holds megabytes of tables and must not be shared between threads.
    compressors = _local.__dict__.setdefault("compressors", {})
    if level not in compressors:
        compressors[level] = zstandard.ZstdCompressor(level=level)
    compressed: bytes = compressors[level].compress(data)
    return compressed


def _decompress_zstd(data: bytes, length: int) -> bytes:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    try:
        # The size that the frame states would be allocated whatever it is.
        if zstandard.frame_content_size(data) != length:
            raise StackError("a chunk of another length than its item has")
        decompressed: bytes = _local.decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise StackError(f"a chunk cannot be decompressed: {error}") from error
    return decompressed


def _decompress_gzip(data: bytes, length: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        decompressed = decompressor.decompress(data, length + 1)
    except zlib.error as error:
        raise StackError(f"a chunk cannot be decompressed: {error}") from error
    if len(decompressed) != length or not decompressor.eof:
        raise StackError("a chunk of another length than its item has")
    return decompressed


def _keep(data: bytes, length: int | None = None) -> bytes:
    if length is not None and len(data) != length:
        raise StackError("a chunk of another length than its item has")
    return data


# 32768: a block of 128 KiB of one byte value takes 4 bytes.
zstd = Compression(lambda data: _compress_zstd(data, 3), _decompress_zstd, 32768, ZSTD_FILTER, (3,))
"""Zstandard at level 3. HDF5 readers need hdf5plugin."""

zstd9 = Compression(
    lambda data: _compress_zstd(data, 9), _decompress_zstd, 32768, ZSTD_FILTER, (9,)
)
"""Zstandard at level 9: smaller and slower to write. HDF5 readers need hdf5plugin."""

# 1032: the longest match of Deflate is 258 bytes, in 2 bits.
gzip = Compression(lambda data: zlib.compress(data, 4), _decompress_gzip, 1032, 1, (4,))
"""Deflate at level 4: every HDF5 library reads it without a plug-in."""

none = Compression(_keep, _keep, 1)
"""No compression: 4 to 8 times the size."""


def shuffle(data: bytes, width: int) -> bytes:
    """Group the first bytes of all values, then the second ones, as HDF5's shuffle filter does."""
    if width == 1:
        return data
    grouped: bytes = np.frombuffer(data, np.uint8).reshape(-1, width).T.tobytes()
    return grouped


def unshuffle(data: bytes, width: int) -> bytes:
    """Undo `shuffle`."""
    if width == 1:
        return data
    values: bytes = np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()
    return values
