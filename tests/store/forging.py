"""Forge the index of a stack and sign it again, as an attacker would who knows the format."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flowstream.store.index import BLOCK, END_BYTES, SIGNATURE, index_length

Content = dict[str, Any]
Forge = Callable[[Content, np.ndarray[Any, Any]], Any]


def forge(path: Path, change: Forge) -> None:
    """Change the index of a stack and sign it again; `change` may return other blocks."""
    data = path.read_bytes()
    found = index_length(data[-END_BYTES:])
    assert found is not None
    length, start = found
    index = data[-length:]
    _, text, count, _ = struct.unpack_from("<8sIIQ", index, length - END_BYTES)
    content = json.loads(index[:text])
    blocks = np.frombuffer(index, BLOCK, count, offset=text).copy()
    changed = change(content, blocks)
    if isinstance(changed, np.ndarray):
        blocks = changed
    encoded = changed if isinstance(changed, bytes) else json.dumps(content).encode()
    end = struct.pack("<8sIIQ", SIGNATURE, len(encoded), len(blocks), start)
    body = encoded + blocks.tobytes() + end
    path.write_bytes(data[:-length] + body + hashlib.blake2b(body, digest_size=16).digest())


def first_block(content: Content, name: str) -> int:
    """Return the place in the table of the first block of an item."""
    before = 0
    for item, record in content["items"].items():
        if item == name:
            return before
        before += record["blocks"]
    raise AssertionError(name)


def set_header(**values: object) -> Forge:
    """Change the header and its digest."""

    def change(content: Content, blocks: object) -> None:
        content["header"] |= values
        record = {name: value for name, value in content["header"].items() if value is not None}
        text = json.dumps(record, sort_keys=True).encode()
        content["header_digest"] = hashlib.blake2b(text, digest_size=16).hexdigest()

    return change


def set_item(name: str, **values: object) -> Forge:
    def change(content: Content, blocks: object) -> None:
        content["items"][name] |= values

    return change


def set_block(name: str, offset: int | None = None, length: int | None = None) -> Forge:
    def change(content: Content, blocks: np.ndarray[Any, Any]) -> None:
        k = first_block(content, name)
        if offset is not None:
            blocks["offset"][k] = offset
        if length is not None:
            blocks["length"][k] = length

    return change


def put_chunk(path: Path, name: str, data: bytes) -> None:
    """Put data in place of the first chunk of an item, padded, with the right checksum."""

    def change(content: Content, blocks: np.ndarray[Any, Any]) -> None:
        k = first_block(content, name)
        offset, length = int(blocks["offset"][k]), int(blocks["length"][k])
        assert len(data) <= length
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)
        blocks["length"][k], blocks["crc"][k] = len(data), zlib.crc32(data)

    forge_in_place(path, change)


def forge_in_place(path: Path, change: Forge) -> None:
    """Forge after the change has written to the file itself."""
    changes: list[tuple[Content, np.ndarray[Any, Any]]] = []
    forge(path, lambda content, blocks: changes.append((content, blocks)))
    content, blocks = changes[0]
    change(content, blocks)
    forge(path, lambda other, _: blocks)
