"""Segments of Matroska and WebM files: FFmpeg reads a second one with the decoders of the first.

The elements are in RFC 9559.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

_SEGMENT = 0x18538067
_CLUSTER, _TRACKS, _ENTRY = 0x1F43B675, 0x1654AE6B, 0xAE
_TYPE, _CODEC, _PRIVATE = 0x83, 0x86, 0x63A2
_PICTURE, _SIDES = 0xE0, (0xB0, 0xBA)
_VIDEO = b"\x01"
_MAGIC = b"\x1a\x45\xdf\xa3"
_BLOCK = 4 << 20
_LARGEST_TRACKS = 16 << 20
# FFmpeg reads on behind the first segment, but not behind the second one.
_MOST = 2


class _Element(NamedTuple):
    kind: int
    start: int
    """Position of its content."""
    stop: int | None
    """None if its size is not known."""


def find_other_segment(file: IO[bytes], size: int, stream_id: int) -> str:
    """Return where a segment begins that is not read or not decoded, or an empty string."""
    codings: list[list[bytes]] = []
    for segment in _segments(file, size):
        codings.append(_codings(file, segment, size))
        if len(codings) > _MOST or codings[-1] != codings[0]:
            change = "another" if len(codings) > _MOST else "another coding in a second"
            return f"{change} segment begins at byte {segment.start}; split the file there"
    return ""


def _segments(file: IO[bytes], size: int) -> Iterator[_Element]:
    position: int | None = 0
    while position is not None and position < size:
        element = _read(file, position, size)
        if element is None:
            return
        if element.kind == _SEGMENT:
            yield element
        has_end = element.stop is not None
        position = element.stop if has_end else _find_magic(file, element.start)


def _find_magic(file: IO[bytes], position: int) -> int | None:
    """Return where the next file begins; None if there is none."""
    file.seek(position)
    tail = b""
    while block := file.read(_BLOCK):
        window = tail + block
        place = window.find(_MAGIC)
        while place >= 0:
            head = window[place : place + 64]
            if b"matroska" in head or b"webm" in head:
                return position - len(tail) + place
            place = window.find(_MAGIC, place + 1)
        position, tail = position + len(block), block[-64:]
    return None


def _read(file: IO[bytes], position: int, end: int) -> _Element | None:
    """Return the element at a position; None if it is not complete or no element."""
    file.seek(position)
    head = file.read(16)
    if len(head) < 2 or not head[0]:
        return None
    width = 9 - head[0].bit_length()
    kind = int.from_bytes(head[:width], "big")
    if width > 4 or len(head) <= width or not head[width]:
        return None
    digits = 9 - head[width].bit_length()
    limit = (1 << 7 * digits) - 1
    length = int.from_bytes(head[width : width + digits], "big") & limit
    start = position + width + digits
    if length == limit:
        return _Element(kind, start, None)
    return _Element(kind, start, min(start + length, end))


def _children(file: IO[bytes], parent: _Element, end: int) -> Iterator[_Element]:
    position, stop = parent.start, end if parent.stop is None else parent.stop
    while position < stop:
        element = _read(file, position, stop)
        if element is None:
            return
        yield element
        if element.stop is None:
            return
        position = element.stop


def _codings(file: IO[bytes], segment: _Element, size: int) -> list[bytes]:
    """Return names and configurations of the decoders of the video tracks, and picture sizes."""
    for element in _children(file, segment, size):
        if element.kind == _CLUSTER:
            break
        if element.kind != _TRACKS or (element.stop or 0) - element.start > _LARGEST_TRACKS:
            continue
        found = []
        for entry in _children(file, element, size):
            fields = {field.kind: _content(file, field) for field in _children(file, entry, size)}
            if entry.kind == _ENTRY and fields.get(_TYPE) == _VIDEO:
                known = (fields.get(kind, b"") for kind in (_CODEC, _PRIVATE, _PICTURE))
                found.append(b" ".join(known))
        return found
    return []


def _content(file: IO[bytes], element: _Element) -> bytes:
    if element.kind == _PICTURE:
        sides = [side for side in _children(file, element, element.start) if side.kind in _SIDES]
        return b"x".join(_bytes(file, side) for side in sides)
    return _bytes(file, element) if element.kind in (_TYPE, _CODEC, _PRIVATE) else b""


def _bytes(file: IO[bytes], element: _Element) -> bytes:
    if element.stop is None:
        return b""
    file.seek(element.start)
    return file.read(element.stop - element.start)
