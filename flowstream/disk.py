"""Files that are written whole or not at all, and read without waiting for ever."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def open_regular(path: Path, *, buffering: int = -1) -> IO[bytes]:
    """A file opened for reading; a pipe or device, which could be waited for, is refused.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.
    """
    mode = path.stat().st_mode
    # of a folder, `open` says what it is
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return path.open("rb", buffering=buffering)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which gets its name when all went well.

    The content is on the disk before the rename; whatever goes wrong, nothing half-written stays
    and an older file of that name is as it was.

    Raises
    ------
    OSError
        If the file cannot be written; the caller says what it was to be.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
