"""Write packs, and extract stacks from them; see `flowstream.store.pack`."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import h5py
from h5py import h5d, h5p, h5s, h5t

from flowstream.disk import whole_file
from flowstream.errors import ParameterError, StackError
from flowstream.store.index import digest_of
from flowstream.store.layout import create_file
from flowstream.store.pack import (
    END,
    SIGNATURE,
    digest_structure,
    is_relative,
    open_bytes,
    read_members,
)
from flowstream.store.part_file import PartFile
from flowstream.store.stack import open_stack
from flowstream.store.verify import check_bytes

_PIECE = 2**22


def write_pack(stacks: Mapping[str, Path], target: Path) -> None:
    """Write a pack, completely or not at all.

    Parameters
    ----------
    stacks : mapping from name to Path
        Names are relative paths with `/`, ending in `.h5`.
    target : Path

    Raises
    ------
    ParameterError
        If there are no stacks, or a name is not a relative path.
    StackError
        If a file is not a stack or cannot be read, or the pack cannot be written.
    """
    if not stacks:
        raise ParameterError(f"{target}: got no stacks to pack")
    for name in stacks:
        if not is_relative(name):
            raise ParameterError(f"{target}: got the name {name!r}, expected a relative path")
    for path in stacks.values():
        open_stack(path).close()  # refuses other files and damaged headers
    part, file = PartFile(target), None
    try:
        file = create_file(part)
        members = {
            name: _add(file, part, name=name, path=path) for name, path in sorted(stacks.items())
        }
        file.close()
        start = part.seek(0, os.SEEK_END)
        structure = digest_structure(part, members.values(), start)
        text = json.dumps({"members": members, "structure": structure}).encode("ascii")
        part.seek(start)
        body = text + END.pack(SIGNATURE, len(text), start)
        part.write(body + digest_of(body).digest())
        part.publish()
    except (OSError, RuntimeError) as error:
        if isinstance(error, StackError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise StackError(f"{target}: cannot write: {reason}") from error
    finally:
        if file is not None:
            file.close()  # HDF5 would write to the closed part file later
        part.discard()


def _add(file: h5py.File, part: PartFile, *, name: str, path: Path) -> tuple[int, int]:
    """Copy a stack file into a contiguous dataset, and return its offset and length."""
    try:
        source, start, length = open_bytes(path)
        with source:
            creation = h5p.create(h5p.DATASET_CREATE)
            creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
            creation.set_fill_time(h5d.FILL_TIME_NEVER)
            creation.set_obj_track_times(False)
            links = h5p.create(h5p.LINK_CREATE)
            links.set_create_intermediate_group(True)
            space = h5s.create_simple((length,))
            place = f"stacks/{name}".encode()
            dataset = h5d.create(
                file.id,
                place,
                h5t.STD_U8LE,
                space,
                dcpl=creation,
                lcpl=links,
            )
            offset: int = dataset.get_offset()
            part.seek(offset)
            for data in _read_pieces(source, start, length):
                part.write(data)
            return offset, length
    except StackError:
        raise
    except OSError as error:
        raise StackError(f"{path}: cannot read: {error.strerror or error}") from error


def _read_pieces(source: IO[bytes], start: int, length: int) -> Iterator[bytes]:
    """Yield a run of bytes of an open file in pieces, and close the file."""
    with source:
        source.seek(start)
        while length > 0:
            data = source.read(min(_PIECE, length))
            if not data:
                raise OSError(errno.EIO, "the file became shorter")
            length -= len(data)
            yield data


def unpack(pack: Path, directory: Path) -> list[Path]:
    """Write each stack of a pack to a file below a directory, and return the paths.

    Damaged stacks are not written; all others are.

    Raises
    ------
    StackError
        If the pack or a stack in it is damaged, or a file cannot be written.
    """
    written, problems = [], []
    for name in read_members(pack):
        try:
            written.append(unpack_stack(pack, name, directory))
        except StackError as error:
            problems.append(error)
    if problems:
        total = len(problems) + len(written)
        raise StackError(f"{problems[0]} ({len(problems)} of {total} stacks are not unpacked)")
    return written


def unpack_stack(pack: Path, name: str, directory: Path) -> Path:
    """Write one stack of a pack to a file below a directory, and return its path.

    Raises
    ------
    StackError
        If the pack or the stack is damaged, or the file cannot be written.
    """
    check_bytes(pack / name)
    target = directory / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part, part.open("wb") as file:
            for data in _read_pieces(*open_bytes(pack / name)):
                file.write(data)
    except StackError:
        raise
    except OSError as error:
        raise StackError(f"{target}: cannot write: {error.strerror}") from error
    return target
