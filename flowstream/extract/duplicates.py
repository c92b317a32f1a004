"""Videos with the same content."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from flowstream.extract.jobs import Job
from flowstream.video import Pair, Span

Part = Span | Pair

# Encoded video has no repeats: files of one size with the same start and end are copies.
_COMPARED_BYTES = 1 << 16
_NO_FILE = -1


def find_duplicates(jobs: Iterable[Job]) -> list[list[Job]]:
    """Return groups of jobs whose stacks would have the same content under different names.

    Files that have the same size, the same first and the same last bytes count as the same. Only
    files that share their size with another one are read. Different parts of a video are no
    duplicates.
    """
    by_size: dict[tuple[int, Part | None], list[Job]] = defaultdict(list)
    for job in jobs:
        with suppress(OSError):
            size = os.path.getsize(job.source) if os.path.isfile(job.source) else _NO_FILE
            by_size[size, job.part].append(job)
    by_content: dict[tuple[int, Part | None, bytes], list[Job]] = defaultdict(list)
    digests: dict[Path, bytes] = {}
    for (size, part), alike in by_size.items():
        for job in alike if size and len(alike) > 1 else ():
            with suppress(OSError):
                if job.source not in digests:
                    digests[job.source] = _digest(job.source, size)
                by_content[size, part, digests[job.source]].append(job)
    return [group for group in by_content.values() if len(group) > 1]


def _digest(path: Path, size: int) -> bytes:
    if size == _NO_FILE:  # a directory of images is compared by its path
        return os.fsencode(os.path.realpath(path))
    with path.open("rb") as file:
        digest = hashlib.blake2b(file.read(_COMPARED_BYTES), digest_size=16)
        file.seek(max(0, size - _COMPARED_BYTES))
        digest.update(file.read(_COMPARED_BYTES))
    return digest.digest()
