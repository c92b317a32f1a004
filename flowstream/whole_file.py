"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


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
