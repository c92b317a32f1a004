"""Compression of the chunks of a stack without the HDF5 library.

The writer stores chunks that are already compressed (`H5Dwrite_chunk`), and the reader decompresses
them itself, so neither waits for HDF5's global lock. Each compression is also recorded as the HDF5
filter of the same format, so any HDF5 reader can read the file.

Measured on one core with 48 pairs of 340x256 `centred8` flow of `tvl1` (16 pairs each of three
UCF101 clips; 174,080 bytes a pair as codes), milliseconds to write a pair and to read a clip of ten
pairs, kilobytes a pair:

    lz4     0.22  0.98  31.1        zstd    0.57  1.71  17.4
    lz4hc   1.62  0.47  21.9        zstd9   3.74  1.45  15.0

`lz4hc` is the default, because a clip is read many times but written once, and because estimating
the flow takes tens of milliseconds per pair. `zstd` is a fifth smaller and three times slower to
read. Levels of lz4hc above 3 take two to twenty times as long to write for 5 to 15 % fewer bytes.
`benchmarks/store.py` repeats the measurement.
"""

from __future__ import annotations

import struct
import threading
import zlib
from abc import ABC, abstractmethod
from typing import ClassVar

import lz4.block
import numpy as np
import zstandard

from flowstream.errors import StackError

ZSTD_FILTER = 32015
LZ4_FILTER = 32004
"""Numbers in the HDF Group's registry of filters; readers get both from hdf5plugin."""

_LZ4HC_LEVEL = 3


class Compression(ABC):
    """Compression of byte strings, and the HDF5 filter that undoes it; not instantiated."""

    max_ratio: ClassVar[int]
    """Largest number of decompressed bytes per compressed byte.

    A chunk that claims more is refused before memory is allocated for it.
    """

    filter_id: ClassVar[int] = 0
    """Number of the HDF5 filter; 0 for none."""

    filter_options: ClassVar[tuple[int, ...]] = ()
    """Parameters of the HDF5 filter."""

    @staticmethod
    @abstractmethod
    def compress(data: bytes) -> bytes:
        """Return compressed bytes."""

    @staticmethod
    @abstractmethod
    def decompress(data: bytes, length: int) -> bytes:
        """Return the decompressed content of `data`.

        Raises
        ------
        StackError
            If `data` is damaged, or its content does not have exactly `length` bytes.
        """


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
        # Checked first, because the library allocates any size that the frame states.
        if zstandard.frame_content_size(data) != length:
            raise StackError("a chunk has another length than its item")
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
        raise StackError("a chunk has another length than its item")
    return decompressed


class Zstd(Compression):
    """Zstandard at level 3: small, and fast to write. HDF5 readers need hdf5plugin."""

    # a block of 128 KiB of one byte value takes 4 bytes
    max_ratio = 32768
    filter_id = ZSTD_FILTER
    filter_options = (3,)

    @staticmethod
    def compress(data: bytes) -> bytes:
        """Return a Zstandard frame."""
        return _compress_zstd(data, 3)

    @staticmethod
    def decompress(data: bytes, length: int) -> bytes:
        """Return the content of a Zstandard frame."""
        return _decompress_zstd(data, length)


class Zstd9(Zstd):
    """Zstandard at level 9: smaller, and slower to write. HDF5 readers need hdf5plugin."""

    filter_options = (9,)

    @staticmethod
    def compress(data: bytes) -> bytes:
        """Return a Zstandard frame."""
        return _compress_zstd(data, 9)


class Lz4(Compression):
    """LZ4: the fastest to write, but large. HDF5 readers need hdf5plugin.

    A chunk is one block of the HDF5 filter: its length, the length of a block, the length of the
    compressed block (all big-endian), and the compressed block.
    """

    # each further byte of a length encodes up to 255 bytes
    max_ratio = 255
    filter_id = LZ4_FILTER

    _LENGTHS: ClassVar[struct.Struct] = struct.Struct(">QII")

    @classmethod
    def compress(cls, data: bytes) -> bytes:
        """Return one block with its lengths."""
        block = cls.compress_block(data)
        if len(block) >= len(data):
            block = data  # the filter takes a block of full length as not compressed
        return cls._LENGTHS.pack(len(data), len(data), len(block)) + block

    @classmethod
    def decompress(cls, data: bytes, length: int) -> bytes:
        """Return the content of one block."""
        head, block = data[: cls._LENGTHS.size], data[cls._LENGTHS.size :]
        if len(head) < cls._LENGTHS.size or cls._LENGTHS.unpack(head) != (
            length,
            length,
            len(block),
        ):
            raise StackError("a chunk has another length than its item")
        if len(block) == length:
            return block
        try:
            decompressed: bytes = lz4.block.decompress(block, uncompressed_size=length)
        except lz4.block.LZ4BlockError as error:
            raise StackError(f"a chunk cannot be decompressed: {error}") from error
        if len(decompressed) != length:
            raise StackError("a chunk has another length than its item")
        return decompressed

    @staticmethod
    def compress_block(data: bytes) -> bytes:
        """Return a block of LZ4, without lengths."""
        block: bytes = lz4.block.compress(data, store_size=False)
        return block


class Lz4hc(Lz4):
    """LZ4 with a thorough search for matches: the fastest to read. HDF5 readers need hdf5plugin."""

    @staticmethod
    def compress_block(data: bytes) -> bytes:
        """Return a block of LZ4, without lengths."""
        block: bytes = lz4.block.compress(
            data, mode="high_compression", compression=_LZ4HC_LEVEL, store_size=False
        )
        return block


class Gzip(Compression):
    """Deflate at level 4: every HDF5 library reads it without a plug-in."""

    # the longest match of Deflate is 258 bytes, in 2 bits
    max_ratio = 1032
    filter_id = 1
    filter_options = (4,)

    @staticmethod
    def compress(data: bytes) -> bytes:
        """Return a zlib stream."""
        return zlib.compress(data, 4)

    @staticmethod
    def decompress(data: bytes, length: int) -> bytes:
        """Return the content of a zlib stream."""
        return _decompress_gzip(data, length)


class NoCompression(Compression):
    """No compression: 4 to 8 times the size."""

    max_ratio = 1

    @staticmethod
    def compress(data: bytes) -> bytes:
        """Return the data."""
        return data

    @staticmethod
    def decompress(data: bytes, length: int) -> bytes:
        """Return the data."""
        if len(data) != length:
            raise StackError("a chunk has another length than its item")
        return data


def shuffle(data: bytes, width: int) -> bytes:
    """Reorder bytes as HDF5's shuffle filter: the first bytes of all values, then the second."""
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
