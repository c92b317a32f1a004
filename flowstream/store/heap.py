"""The global heap of an HDF5 file, read with care.

HDF5 keeps texts and variable-length data in heap collections, the one structure of its 1.10 format
without a checksum. On a damaged one the library (2.0.0) runs in circles for ever, where zeros stand
for an object's head, or out of bounds. So images are read from here, and a collection
of attributes is walked before the library reads it.

Source: HDF5 File Format Specification Version 3.0, III.E "Disk Format: Level 1E - Global Heap".
"""

from __future__ import annotations

import os
import struct
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import h5py

from flowstream.disk import open_regular
from flowstream.errors import StackError

# signature, version 1, three reserved bytes; then the size of the collection
_START = b"GCOL\x01\0\0\0"
_COLLECTION = struct.Struct("<8sQ")
# index, reference count, reserved, size
_OBJECT = struct.Struct("<HHIQ")
# as a data set of variable-length items stores each: length, address of the collection, index
_REFERENCE = struct.Struct("<IQI")

_HEAD = 65536
"""Attributes are written first, so that their collection lies within these bytes."""


class Heap:
    """Objects of a file's heap collections; may be used by several threads.

    `close` releases the file; so does dropping the last reference. `stamp` is the file's length
    and the time of its last change.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_regular(path, buffering=0)
        self._lock = threading.Lock()
        found = os.fstat(self._file.fileno())
        self.stamp = (found.st_size, found.st_mtime_ns)
        self.close = weakref.finalize(self, self._file.close)

    def object(self, address: int, index: int) -> bytes:
        """The bytes of an object.

        Raises
        ------
        StackError
            If there is none, or the collection is damaged.
        """
        for number, content in self._objects(address):
            if number == index:
                return content
        raise self._damaged(address)

    def check_head(self) -> None:
        """Walk each collection that starts near the start of the file.

        Raises
        ------
        StackError
            If one is damaged.
        """
        head = self.read(0, _HEAD)
        address = head.find(_START)
        while address >= 0:
            for _ in self._objects(address):
                pass
            address = head.find(_START, address + 1)

    def _objects(self, address: int) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each object of the collection at `address`."""
        start = self.read(address, _COLLECTION.size)
        if len(start) < _COLLECTION.size or not start.startswith(_START):
            raise self._damaged(address)
        size = _COLLECTION.unpack(start)[1]
        whole = self.read(address, min(size, self._file_size()))
        if len(whole) != size:
            raise self._damaged(address)
        at = _COLLECTION.size
        # what is left at the end may be too short for a head
        while at + _OBJECT.size <= size:
            index, _, _, length = _OBJECT.unpack_from(whole, at)
            end = at + _OBJECT.size + length
            # object 0 is the free space, and its size counts its head
            step = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
            if step < _OBJECT.size or at + step > size:
                raise self._damaged(address)
            if index:
                yield index, whole[at + _OBJECT.size : end]
            at += step

    def read(self, address: int, length: int) -> bytes:
        """The bytes at an address; fewer at the end of the file."""
        with self._lock:
            self._file.seek(address)
            return self._file.read(length)

    def _file_size(self) -> int:
        with self._lock:
            return self._file.seek(0, 2)

    def _damaged(self, address: int) -> StackError:
        return StackError(f"{self._path}: damaged: broken heap at byte {address}; extract it again")


class ImageHeap:
    """The items of `/rgb`."""

    def __init__(self, images: h5py.Dataset, heap: Heap) -> None:
        self._images = images
        self._heap = heap
        plain = images.chunks is not None and images.id.get_create_plist().get_nfilters() == 0
        self._per_chunk: int | None = images.chunks[0] if plain else None

    def read(self, t: int) -> bytes:
        """The bytes of image t.

        Raises
        ------
        StackError
            If they are damaged.
        """
        if self._per_chunk is None:
            # not as this library writes it: repacked by another tool
            return bytes(self._images[t].data)
        first = t - t % self._per_chunk
        _, references = self._images.id.read_direct_chunk((first,))
        length, address, index = _REFERENCE.unpack_from(references, (t - first) * _REFERENCE.size)
        content = self._heap.object(address, index)
        if len(content) != length:
            raise StackError(f"{self._images.file.filename}: damaged: image {t} has another length")
        return content
