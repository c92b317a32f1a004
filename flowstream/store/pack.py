"""Packs: one HDF5 file that holds many complete stack files.

File systems of clusters are slow with many small files. In a pack each stack is a contiguous
dataset of bytes below `/stacks`, so it can be read in place. A stack in a pack has the path
`PACK/NAME.h5`, as if the pack were a directory, and `open_stack` accepts this path. The pack ends
with an index like that of a stack: JSON, then signature, length and start of the JSON, and a
digest. The JSON contains the places of the stacks and a digest of all preceding bytes outside the
stacks, which are HDF5's own metadata. Each stack has its own digests.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flowstream.disk import open_regular
from flowstream.errors import StackError
from flowstream.store.index import digest_of

if TYPE_CHECKING:
    from flowstream.store.part_file import PartFile

SIGNATURE = b"FSPACK\0\x02"
END = struct.Struct("<8sQQ")
_DIGEST_BYTES = 16
_GROUP = b"\x06stacks"
"""Length and name of the link to the group of the stacks, in the root group at the start."""
_HEAD_BYTES = 512
_LONGEST_JSON = 2**28
_PIECE = 2**20

Members = Mapping[str, tuple[int, int]]
"""Offset and length of each stack in a pack, by name with its suffix."""


def read_members(path: Path) -> Members:
    """Return the stacks in a pack.

    Raises
    ------
    StackError
        If the file cannot be read, or is not a complete pack.
    """
    try:
        found = path.stat()
        return _read_members(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        if isinstance(error, StackError):
            raise
        raise StackError(f"{path}: cannot read: {error.strerror}") from error


def check_structure(path: Path) -> None:
    """Compare the bytes of a pack outside the stacks with their digest.

    Raises
    ------
    StackError
        If the digest differs, or the file is not a complete pack.
    """
    members = read_members(path)
    end = _read_end(path)
    assert end is not None
    length, start = end
    with open_regular(path) as file:
        file.seek(start)
        stated = json.loads(file.read(length)).get("structure")
        if digest_structure(file, members.values(), start) != stated:
            raise StackError(
                f"{path}: damaged, or changed by another program: the digest of its metadata "
                "differs; pack it again"
            )


def digest_structure(
    file: IO[bytes] | PartFile, members: Iterable[tuple[int, int]], end: int
) -> str:
    """Return the digest of all bytes of a file before `end` that are outside the stacks."""
    digest, first = digest_of(), 0
    for offset, length in [*sorted(members), (end, 0)]:
        file.seek(first)
        while first < offset:
            data = file.read(min(_PIECE, offset - first))
            if not data:
                break
            digest.update(data)
            first += len(data)
        first = offset + length
    return digest.hexdigest()


def is_relative(name: str) -> bool:
    """Return True if a name, joined to a directory, is a path below this directory."""
    parts = name.replace("\\", "/").split("/")
    return {"", ".", ".."}.isdisjoint(parts) and ":" not in parts[0] and "\0" not in name


def is_pack(path: Path) -> bool:
    """Return True if a file has the ending of a pack."""
    try:
        return path.is_file() and _read_end(path) is not None
    except OSError:
        return False


def split_member(path: Path) -> tuple[Path, str] | None:
    """Split a path below a file into the file and the rest; None if no parent is a file."""
    for parent in path.parents:
        if parent.is_file():
            return parent, path.relative_to(parent).as_posix()
        if parent.exists():
            return None
    return None


def may_be_pack(path: Path) -> bool:
    """Return True if a file is a pack, or a damaged one that still has the group of the stacks."""
    if is_pack(path):
        return True
    try:
        with open_regular(path) as file:
            return _GROUP in file.read(_HEAD_BYTES)
    except OSError:
        return False


def find_members(path: Path) -> list[Path]:
    """Return the paths of the stacks in a pack, or below a directory in it, in sorted order.

    Parameters
    ----------
    path : Path
        Pack, directory in a pack, or stack in a pack. For any other path the list is empty.

    Raises
    ------
    StackError
        If the index of the pack is damaged.
    """
    pack, inside = (path, "") if path.is_file() else split_member(path) or (path, "")
    if not is_pack(pack):
        return []
    names = sorted(read_members(pack))
    return [pack / name for name in names if not inside or f"{name}/".startswith(f"{inside}/")]


def file_of(path: Path) -> Path:
    """Return the file that holds a stack: the pack of a stack in a pack, otherwise `path`."""
    found = split_member(path)
    return path if found is None else found[0]


def has_stack(path: Path) -> bool:
    """Return True if a path is a file or the path of a stack in a pack."""
    found = None if path.is_file() else split_member(path)
    if found is None:
        return path.is_file()
    return is_pack(found[0]) and found[1] in read_members(found[0])


def open_bytes(path: Path) -> tuple[IO[bytes], int, int]:
    """Open the file that holds a stack; return it with the offset and the length of the stack.

    Raises
    ------
    StackError
        If the pack is invalid or does not contain the stack.
    OSError
        If the file cannot be opened.
    """
    found = None
    try:
        file = open_regular(path, buffering=0)
    except (NotADirectoryError, FileNotFoundError):
        found = split_member(path)
        if found is None:
            raise
    if found is None:
        return file, 0, os.fstat(file.fileno()).st_size
    pack, name = found
    members = read_members(pack)
    if name not in members:
        raise StackError(f"{path}: no such stack in the pack {pack}")
    return open_regular(pack, buffering=0), *members[name]


def count_bytes(path: Path) -> int:
    """Return the length of a stack file or of a stack in a pack; 0 if there is none."""
    try:
        file, _, length = open_bytes(path)
    except OSError:
        return 0
    file.close()
    return length


def _read_end(path: Path) -> tuple[int, int] | None:
    """Return length and start of the JSON of a pack; None if the file is not a pack."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        if size < END.size + _DIGEST_BYTES:
            return None
        file.seek(size - END.size - _DIGEST_BYTES)
        signature, length, start = END.unpack(file.read(END.size))
    complete = start + length + END.size + _DIGEST_BYTES == size and length <= _LONGEST_JSON
    return (length, start) if signature == SIGNATURE and complete else None


@lru_cache(maxsize=8)
def _read_members(path: Path, size: int, modified: int) -> Members:
    # Size and time are part of the key, so that a replaced pack is read again.
    end = _read_end(path)
    if end is None:
        raise StackError(f"{path}: not a pack of stacks, or truncated")
    length, start = end
    with open_regular(path) as file:
        file.seek(start)
        body, digest = file.read(length + END.size), file.read(_DIGEST_BYTES)
    if digest_of(body).digest() != digest:
        raise StackError(f"{path}: damaged: the digest of its index differs; pack it again")
    try:
        members = {
            str(name): (int(offset), int(count))
            for name, (offset, count) in json.loads(body[:length])["members"].items()
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StackError(f"{path}: its index is invalid: {error}") from error
    for name, (offset, count) in members.items():
        if not is_relative(name):
            raise StackError(f"{path}: its index holds the name {name!r}; expected a relative path")
        if not 0 <= offset <= offset + count <= start:
            raise StackError(f"{path}: {name} extends beyond the end of the file")
    return members
