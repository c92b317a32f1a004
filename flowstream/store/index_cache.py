"""Cache of the indexes of stacks, so that opening a stack again needs no parsing."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstream.store.index import Index

_MOST_BYTES = 2**26

# Header, items and Python's objects, measured with tracemalloc on a stack of 200 frames.
_INDEX_BYTES = 8192


class IndexCache:
    """Indexes by file; the oldest are dropped if all indexes take more than 64 MiB.

    The stamp of a file shows whether the file was replaced or changed. If a block is damaged later,
    its checksum differs from the index, regardless of whether the index was cached.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: dict[str, tuple[Hashable, Index, int]] = {}
        self._lock = threading.Lock()

    def find(self, path: str, stamp: Hashable) -> Index | None:
        """Return the index of a file with this stamp; None if it is not known."""
        found = self._kept.get(path)
        return found[1] if found is not None and found[0] == stamp else None

    def add(self, path: str, stamp: Hashable, index: Index) -> None:
        """Keep the index of a file."""
        size = _INDEX_BYTES + sum(stored.blocks.nbytes for stored in index.items.values())
        # Do not wait: a forked process may inherit a lock that no thread will release.
        if not self._lock.acquire(blocking=False):
            return
        try:
            _, _, before = self._kept.pop(path, (None, None, 0))
            self._kept[path] = stamp, index, size
            self._bytes += size - before
            while self._bytes > self._most_bytes:
                oldest = next(iter(self._kept))
                self._bytes -= self._kept.pop(oldest)[2]
        finally:
            self._lock.release()


CACHE = IndexCache()
"""Cache of this process."""
