"""Exclusive locks: one run per journal or directory, and no worker that outlives its run.

The kernel releases the locks of a process that died, so that nothing has to be cleaned up. On
POSIX systems worker processes inherit the lock of their run: it is free when the run and all its
workers have ended, and two runs can never write the same file.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flowstream.errors import FlowstreamError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DIRECTORY_LOCK = ".flowstream-lock"
"""Name of the locked file in a directory of `lock_directory`."""

_POLL_SECONDS = 0.02
# Windows locks a range of bytes against reading, too; this one is far behind the end of any file.
_WINDOWS_BYTE = 1 << 62


class FileLock:
    """Exclusive lock on a file, which is created if it is missing.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def acquire(self, *, patience: float) -> bool:
        """Try to get the lock for `patience` seconds; return True if it is held then.

        File systems without locks (some network file systems) count as free: there, the user has
        to make sure that only one run writes into a directory.

        Raises
        ------
        OSError
            If the file cannot be opened for writing.
        """
        until = time.monotonic() + patience
        while True:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            # Another run may remove the file between opening and locking.
            if _try_lock(self.descriptor) and self.is_current():
                return True
            self.release()
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_SECONDS)

    def is_current(self) -> bool:
        """Return True if the path still names the locked file."""
        try:
            named, held = os.stat(self.path), os.fstat(self.descriptor)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def release(self) -> None:
        """Release the lock of this process; inherited copies keep theirs."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def is_locked(path: Path) -> bool:
    """Return True if another process holds the lock of a file."""
    lock = FileLock(path)
    try:
        return not lock.acquire(patience=0.0)
    except OSError:
        return False
    finally:
        lock.release()


@contextmanager
def lock_directory(
    directory: Path, error: type[FlowstreamError], *, patience: float = 0.0
) -> Iterator[None]:
    """Make a directory of outputs and hold its lock, so that one run at a time writes into it.

    The locked file is removed at the end. That of a killed run stays, but is not locked.

    Parameters
    ----------
    directory : Path
    error : class
        Error to raise.
    patience : float
        Seconds to wait for the lock.

    Raises
    ------
    error
        If another run holds the lock, or the directory cannot be written.
    """
    existed = directory.exists()
    lock = FileLock(directory / DIRECTORY_LOCK)
    try:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            held = lock.acquire(patience=patience)
        except OSError as problem:
            raise error(
                f"{directory}: cannot write into this directory: {problem.strerror}"
            ) from problem
        if not held:
            raise error(
                f"{directory}: another run is writing into this directory; wait until it ends, or "
                "use another directory"
            )
        try:
            yield
        finally:
            with suppress(OSError):
                lock.path.unlink()
    finally:
        lock.release()
        if not existed:
            with suppress(OSError):  # it stays if anything was written
                directory.rmdir()


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _WINDOWS_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True
