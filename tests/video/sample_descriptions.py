"""MP4 files whose only track has two sample descriptions, as editors write them."""

from __future__ import annotations

import struct
from pathlib import Path

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _split(content: bytes) -> list[tuple[bytes, bytes]]:
    boxes, place = [], 0
    while place < len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        boxes.append((kind, content[place + 8 : place + length]))
        place += length
    return boxes


def find(content: bytes, *path: bytes) -> bytes:
    """Return the content of the first box at a path."""
    for kind in path:
        content = dict(reversed(_split(content)))[kind]
    return content


def join(first: Path, second: Path, target: Path) -> Path:
    """Write one track with the samples of two files, each with its own sample description.

    Both files must come from FFmpeg, have the same number of samples, and hold nothing else.
    """
    table = (*_PARENTS, b"stsd")
    old, new = first.read_bytes(), second.read_bytes()
    sizes = [find(content, *_PARENTS, b"stsz")[12:] for content in (old, new)]
    data = [find(content, b"mdat") for content in (old, new)]
    count = len(sizes[0]) // 4
    entries = find(old, *table)[8:] + find(new, *table)[8:]
    begin = len(_box(b"ftyp", find(old, b"ftyp"))) + 8
    replaced = {
        b"stsd": struct.pack(">II", 0, 2) + entries,
        b"stsz": struct.pack(">III", 0, 0, 2 * count) + b"".join(sizes),
        b"stts": struct.pack(">IIII", 0, 1, 2 * count, _step(old)),
        b"stsc": struct.pack(">8I", 0, 2, 1, count, 1, 2, count, 2),
        b"stco": struct.pack(">IIII", 0, 2, begin, begin + len(data[0])),
        b"stss": struct.pack(">IIII", 0, 2, 1, count + 1),
    }
    boxes = [(kind, content) for kind, content in _split(old) if kind in (b"ftyp", b"moov")]
    [(_, head), (_, index)] = boxes
    content = _box(b"ftyp", head) + _box(b"mdat", b"".join(data))
    target.write_bytes(content + _box(b"moov", _rewrite(index, replaced)))
    return target


def _step(content: bytes) -> int:
    (step,) = struct.unpack_from(">I", find(content, *_PARENTS, b"stts"), 12)
    return int(step)


def _rewrite(content: bytes, replaced: dict[bytes, bytes]) -> bytes:
    """Replace boxes at any depth; edit lists and offsets of times are dropped."""
    parts = []
    for kind, inner in _split(content):
        if kind in (b"edts", b"ctts"):
            continue
        inner = _rewrite(inner, replaced) if kind in _PARENTS else replaced.get(kind, inner)
        parts.append(_box(kind, inner))
    return b"".join(parts)
