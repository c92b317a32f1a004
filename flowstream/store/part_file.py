"""Atomic file output with one writer per file, safe on a full disk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from flowstream.disk import refuse_special
from flowstream.errors import StackError

if sys.platform != "win32":
    import fcntl


class PartFile:
    """File `NAME.part` with one writer, which `publish` renames to `NAME`.

    An advisory lock ensures that there is one writer. The system releases the lock when the process
    ends, so the part file of a dead process is overwritten. Windows and some network file
    systems have no such locks; there, the user must not start two writers of one file.

    h5py writes to this file object. HDF5 cannot handle a write that fails: it cannot close the
    file, reports the error again at each later call and may crash. Therefore this object stores the
    failure, so that the writer can raise it, and keeps the unwritten data in memory until HDF5 has
    closed the file.

    Parameters
    ----------
    path : Path
        Final name of the file; missing directories are created.

    Raises
    ------
    StackError
        If another process writes the file, or it cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.failure: OSError | None = None
        self._at = 0
        self._unwritten: list[tuple[int, bytes]] = []
        try:
            refuse_special(path)
        except OSError as error:
            raise StackError(f"{path}: cannot write: {error.strerror}") from error
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_special(self.part, links=True)
            self._file = open(_open_locked(self.part), "r+b", buffering=0)  # noqa: SIM115
        except BlockingIOError as error:
            raise StackError(
                f"{path}: another process is writing this file; wait until it ends"
            ) from error
        except OSError as error:
            raise StackError(f"{self.part}: cannot write: {error.strerror}") from error
        self._size = 0
        self.truncate(0)

    def publish(self) -> None:
        """Flush the complete part file to the disk and rename it to its final name.

        Raises
        ------
        OSError
            If this or an earlier write failed.
        """
        if self.failure is not None:
            raise self.failure
        os.fsync(self._file.fileno())
        if sys.platform == "win32":
            self._file.close()  # Windows cannot rename an open file
        # otherwise the lock is held until then, so that no other process writes to the part file
        os.replace(self.part, self.path)
        self._file.close()

    def discard(self) -> None:
        """Remove the part file, unless it was published."""
        if self._file.closed:
            return
        if sys.platform == "win32":
            self._file.close()
        with suppress(OSError):
            self.part.unlink()
        self._file.close()

    # Methods that the `fileobj` driver of h5py calls.

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, in bytes from the start or the end of the file."""
        self._at = offset + (self._size if whence == os.SEEK_END else 0)
        return self._at

    def tell(self) -> int:
        """Return the position of the next byte to read or write."""
        return self._at

    def read(self, length: int) -> bytes:
        """Read bytes, including those that are held in memory after a failed write."""
        self._file.seek(self._at)
        whole = bytearray(self._file.read(length).ljust(length, b"\0"))
        for start, data in self._unwritten:
            first, last = max(start, self._at), min(start + len(data), self._at + length)
            if first < last:
                whole[first - self._at : last - self._at] = data[first - start : last - start]
        self._at += length
        return bytes(whole)

    def write(self, data: bytes) -> int:
        """Write all of `data`, or hold it in memory after a failed write."""
        if self.failure is None:
            self._try_to_write(memoryview(data))
        if self.failure is not None:
            self._unwritten.append((self._at, bytes(data)))
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def truncate(self, size: int) -> int:
        """Truncate or extend the file."""
        if self.failure is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self.failure = error
        self._size = size
        return size

    def flush(self) -> None:
        """Do nothing, because the file is not buffered."""

    def _try_to_write(self, left: memoryview) -> None:
        try:
            self._file.seek(self._at)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.failure = error


def _open_locked(part: Path) -> int:
    """Open or create a part file, and lock it if the file system supports locks."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        if sys.platform == "win32":
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        except OSError:
            return descriptor  # this file system has no locks
        # the previous writer may have renamed or removed the file between the two calls
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(part)):
                return descriptor
        os.close(descriptor)
