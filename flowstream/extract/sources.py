"""Size and modification time of a source video."""

from __future__ import annotations

import os
from pathlib import Path


def source_state(source: Path) -> tuple[int, int]:
    """Return the bytes and the modification time (ns) of a video file or directory of images.

    Raises
    ------
    OSError
        If it does not exist or cannot be read.
    """
    status = os.stat(source)
    if not os.path.isdir(source):
        return status.st_size, status.st_mtime_ns
    with os.scandir(source) as entries:
        files = [entry.stat() for entry in entries if entry.is_file()]
    return sum(file.st_size for file in files), max(
        (file.st_mtime_ns for file in files), default=status.st_mtime_ns
    )
