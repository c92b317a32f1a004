"""A file that appears whole or not at all, has one writer, and survives a full disk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from flowstream.errors import StackError

if sys.platform != "win32":
    import fcntl


class PartFile:
    """`NAME.part`, written by this process alone, and renamed to `NAME` when it is complete.

    The right to write is an advisory lock, which the system frees when its process dies: a stale
    part file never stands in the way, and is overwritten. Where there are no such locks (Windows,
    some network file systems), two writers of one file are the user's to avoid.

    It is the file object that h5py writes to. HDF5 does not survive a write that fails: it cannot
    close such a file, complains about it at every turn and may crash. So a failure is kept for the
    writer to raise, and what could not be written is held in memory until HDF5 has closed the file.

    Parameters
    ----------
    path : Path
        The final name; missing folders are made.

    Raises
    ------
    StackError
        If another writer is at it, or it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.failure: OSError | None = None
        self._at = 0
        self._unwritten: list[tuple[int, bytes]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(_locked(self.part), "r+b", buffering=0)  # noqa: SIM115
        except BlockingIOError as error:
            raise StackError(f"{path}: another writer is at this file; wait for its end") from error
        except OSError as error:
            raise StackError(f"{self.part}: cannot write: {error.strerror}") from error
        self._size = 0
        self.truncate(0)

    def publish(self) -> None:
        """Put the complete part file on the disk and give it its final name.

        Raises
        ------
        OSError
            If the disk refuses, now or at an earlier write.
        """
        if self.failure is not None:
            raise self.failure
        os.fsync(self._file.fileno())
        if sys.platform == "win32":
            self._file.close()  # no open file can be renamed there
        # elsewhere still locked: another writer could start on the part file before it is renamed
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

    # What h5py's `fileobj` driver calls.

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, counted from the start or the end."""
        self._at = offset + (self._size if whence == os.SEEK_END else 0)
        return self._at

    def tell(self) -> int:
        """The byte to read or write next."""
        return self._at

    def read(self, length: int) -> bytes:
        """What was written, or would have been."""
        self._file.seek(self._at)
        whole = bytearray(self._file.read(length).ljust(length, b"\0"))
        for start, data in self._unwritten:
            first, last = max(start, self._at), min(start + len(data), self._at + length)
            if first < last:
                whole[first - self._at : last - self._at] = data[first - start : last - start]
        self._at += length
        return bytes(whole)

    def write(self, data: bytes) -> int:
        """Write, or hold, all of `data`."""
        if self.failure is None:
            self._try_to_write(memoryview(data))
        if self.failure is not None:
            self._unwritten.append((self._at, bytes(data)))
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def truncate(self, size: int) -> int:
        """Cut or extend the file."""
        if self.failure is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self.failure = error
        self._size = size
        return size

    def flush(self) -> None:
        """Nothing: every write goes to the system at once."""

    def _try_to_write(self, left: memoryview) -> None:
        try:
            self._file.seek(self._at)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.failure = error


def _locked(part: Path) -> int:
    """Open a part file, made if there is none, and lock it where the system can."""
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
            return descriptor  # no locks here
        # the last holder may have renamed or removed it between the two calls
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(part)):
                return descriptor
        os.close(descriptor)
