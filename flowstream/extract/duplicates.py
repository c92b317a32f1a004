"""Videos with the same content."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Encoded video has no repeats: files of one size with the same start and end are copies.
_COMPARED_BYTES = 1 << 16


def find_duplicates(paths: Iterable[Path]) -> list[list[Path]]:
    """Return groups of files that have the same size, the same first and the same last bytes.

    Only files that share their size with another one are read.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        with suppress(OSError):
            if os.path.isfile(path):
                by_size[os.path.getsize(path)].append(path)
    by_content: dict[tuple[int, bytes], list[Path]] = defaultdict(list)
    for size, alike in by_size.items():
        if size and len(alike) > 1:
            for path in alike:
                with suppress(OSError):
                    by_content[size, _digest(path, size)].append(path)
    return [group for group in by_content.values() if len(group) > 1]


def _digest(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        digest = hashlib.blake2b(file.read(_COMPARED_BYTES), digest_size=16)
        file.seek(max(0, size - _COMPARED_BYTES))
        digest.update(file.read(_COMPARED_BYTES))
    return digest.digest()
