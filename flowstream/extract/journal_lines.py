"""Fast reading of long journals: most lines are searched for a few values, not parsed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flowstream.disk import open_regular
from flowstream.errors import ExtractionError
from flowstream.extract.journal import parse_line

_LINE = re.compile(
    rb'^.*?"output": "([ !#-\[\]-~]*)", "status": "(?:done|skipped)"'
    rb'.*?"pairs": (\d{1,18}),.*?"bytes": (\d{1,18}),.*$|^(.+)$',
    re.MULTILINE,
)
"""Output, pairs and bytes of a complete stack, as `Journal` writes them, or any other line.

An output with escaped characters is among the others.
"""

_BLOCK_BYTES = 1 << 20

Complete = dict[bytes, tuple[bytes, bytes]]
"""Pairs and bytes of the complete stacks as in the journal, by `output_key`."""

Failures = dict[bytes, dict[str, Any]]
"""Records of the videos that failed, by `output_key`."""


def read_latest_lines(path: Path, complete: Complete, failures: Failures) -> None:
    """Add the lines of a journal, which may have a million; a later line replaces an earlier one.

    Lines of complete stacks are not parsed, and their values not converted, which takes a fifth of
    the time.

    Raises
    ------
    ExtractionError
        If the journal cannot be read.
    """
    try:
        with open_regular(path) as file:
            while lines := file.readlines(_BLOCK_BYTES):
                for output, pairs, size, other in _LINE.findall(b"".join(lines)):
                    if other:
                        _add_parsed(other, complete, failures)
                        continue
                    complete[output] = pairs, size
                    if output in failures:
                        del failures[output]
    except OSError as error:
        raise ExtractionError(f"{path}: cannot read the journal: {error.strerror}") from error


def find_missing(directory: Path, outputs: Iterable[bytes]) -> list[bytes]:
    """Return those outputs of a directory that are not on disk, by listings of the directories.

    Asking for each of a million stacks would take minutes on a network file system.
    """
    root = os.fsencode(directory)
    listings: dict[bytes, set[bytes]] = {}
    missing = []
    for output in outputs:
        below, _, name = output.rpartition(b"/")
        names = listings.get(below)
        if names is None:
            names = listings[below] = _list_names(os.path.join(root, below))
        if name not in names and not _is_named_otherwise(directory, output):
            missing.append(output)
    return missing


def output_key(output: str) -> bytes:
    """Return the key of an output: a journal may have a million, which are not decoded."""
    return output.encode("utf-8", "surrogatepass")


def _list_names(directory: bytes) -> set[bytes]:
    try:
        return set(os.listdir(directory))
    except (OSError, ValueError):  # a damaged line may name anything
        return set()


def _is_named_otherwise(directory: Path, output: bytes) -> bool:
    """Return True if an output is on disk under a name that is not the bytes of its key."""
    return not output.isascii() and os.path.lexists(
        os.path.join(directory, output.decode("utf-8", "surrogatepass"))
    )


def _add_parsed(line: bytes, complete: Complete, failures: Failures) -> None:
    for record in parse_line(line):
        output = output_key(record["output"])
        if record["status"] == "failed":
            failures[output] = record
            complete.pop(output, None)
        else:
            failures.pop(output, None)
            complete[output] = b"%d" % record.get("pairs", 0), b"%d" % record.get("bytes", 0)
