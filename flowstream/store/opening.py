"""Open a stack file for reading, and say in one line why one cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the filters

from flowstream.errors import FlowstreamError, StackError
from flowstream.store.heap import Heap, ImageHeap

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# What h5py raises on files that are damaged: its own reasons as OSError, RuntimeError or KeyError,
# the rest where a damaged header gives it impossible types, texts or lengths.
_DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, MemoryError)


class OpenedFile:
    """A stack file as one process opened it for reading.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StackError
        If there is no such file, or it is not HDF5, or truncated.
    """

    def __init__(self, path: Path) -> None:
        self.process = os.getpid()
        try:
            self._heap = Heap(path)
            start = self._heap.read(0, len(_SIGNATURE))
        except OSError as error:
            raise StackError(f"{path}: cannot read: {error.strerror}") from error
        if start != _SIGNATURE:
            seen = "not an HDF5 file" if start else "an empty file"
            raise StackError(f"{path}: {seen}, expected a stack")
        self._heap.check_head()
        self.file = _open(path)

    @property
    def stamp(self) -> tuple[int, int]:
        """Length and time of the last change: another one may mean another file."""
        return self._heap.stamp

    @cached_property
    def flow(self) -> h5py.Dataset:
        """`/flow`."""
        return self.file["flow"]

    @cached_property
    def backward(self) -> h5py.Dataset:
        """`/flow_backward`, where there is one."""
        return self.file["flow_backward"]

    @cached_property
    def consistent(self) -> h5py.Dataset:
        """`/consistent`, where there is one."""
        return self.file["consistent"]

    @cached_property
    def images(self) -> ImageHeap | None:
        """The items of `/rgb`, where there is one."""
        return ImageHeap(self.file["rgb"], self._heap) if "rgb" in self.file else None

    def close(self) -> None:
        """Release the file."""
        # a forked process has no business with its parent's state in HDF5
        if self.process == os.getpid():
            self.file.close()
        self._heap.close()


def _open(path: Path) -> h5py.File:
    # No cache of chunks: fields are read whole, each once; HDF5 would keep up to 8 MB a file.
    # No lock: a stack never changes once it has its name, and locking fails where the file system
    # has none, as many clusters' do not.
    try:
        return h5py.File(path, "r", rdcc_nbytes=0, locking=False)
    except OSError as error:
        if "truncated" in str(error):
            raise StackError(f"{path}: truncated; extract it again") from error
        if "locking flag" not in str(error):
            raise
    # This process has the file open in h5py with locks, and HDF5 wants the same of everyone.
    return h5py.File(path, "r", rdcc_nbytes=0)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what h5py raises into a `StackError` of one line."""
    try:
        yield
    except FlowstreamError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StackError(f"{path}: damaged: {reason}") from error
