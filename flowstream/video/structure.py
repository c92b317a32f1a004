"""Search of the structure of a container for signs that its end is missing.

FFmpeg reads what there is and does not compare it with the sizes that the container states.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO

from flowstream.disk import open_regular

_SEGMENT = 0x18538067
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# Longest page of an Ogg file: 27 + 255 + 255 * 255 bytes.
_LONGEST_PAGE = 65_307
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d01020101")
_MOV_CONTENT = frozenset({b"mdat", b"moof", b"moov"})


def find_truncation(path: Path, container: str) -> str:
    """Return why the file must be truncated, or an empty string.

    Parameters
    ----------
    path : path
        A file that FFmpeg opened.
    container : str
        FFmpeg's name of its format; formats without such signs are never truncated.
    """
    check = _CHECKS.get(container)
    if check is None:
        return ""
    try:
        with open_regular(path) as file:
            return check(file, os.fstat(file.fileno()).st_size)
    except OSError:
        return ""  # decoding reports it


def _shorter(size: int, stated: int) -> str:
    return f"the file has {size} bytes, its header states {stated}" if size < stated else ""


def _matroska(file: IO[bytes], size: int) -> str:
    """Compare the file with the size of its segment, which live recordings leave open."""
    position = 0
    for _ in range(8):
        file.seek(position)
        head = file.read(16)
        if len(head) < 12:
            return ""
        length = 8 - (head[0]).bit_length() + 1
        identifier = int.from_bytes(head[:length], "big")
        width = 8 - head[length].bit_length() + 1
        if length > 4 or width > 8:
            return ""
        value = int.from_bytes(head[length : length + width], "big") & ((1 << 7 * width) - 1)
        content = position + length + width
        if identifier == _SEGMENT:
            unknown = value == (1 << 7 * width) - 1
            return "" if unknown else _shorter(size, content + value)
        position = content + value
    return ""


def _mov(file: IO[bytes], size: int) -> str:
    """Follow the boxes of the top level to the end of the file."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if length < 8:  # 0: to the end of the file
            return ""
        if kind in _MOV_CONTENT and position + length > size:
            return _shorter(size, position + length)
        position += length
    return ""


def _flv(file: IO[bytes], size: int) -> str:
    """Compare the file with the size in its metadata, a big-endian double."""
    head = file.read(4096)
    place = head.find(b"\x00\x08filesize\x00")
    if place < 0 or len(head) < place + 19:
        return ""
    (stated,) = struct.unpack(">d", head[place + 11 : place + 19])
    return _shorter(size, int(stated)) if 0 < stated < 2**53 else ""


def _asf(file: IO[bytes], size: int) -> str:
    """Compare the file with the size in its properties, which broadcasts leave invalid."""
    head = file.read(4096)
    place = head.find(_ASF_PROPERTIES)
    if place < 0 or len(head) < place + 92:
        return ""
    stated = int.from_bytes(head[place + 40 : place + 48], "little")
    is_broadcast = head[place + 88] & 1
    return "" if is_broadcast else _shorter(size, stated)


def _ogg(file: IO[bytes], size: int) -> str:
    """Check that the last page is complete."""
    start = max(0, size - 2 * _LONGEST_PAGE)
    file.seek(start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return ""
    segments = tail[page + 26] if len(tail) > page + 26 else 0
    table = tail[page + 27 : page + 27 + segments]
    length = 27 + segments + sum(table)
    whole = len(tail) >= page + 27 and len(table) == segments and len(tail) >= page + length
    return "" if whole else "its last page is cut off"


def _gif(file: IO[bytes], size: int) -> str:
    """Follow the blocks of a GIF to its trailer."""
    data = file.read()
    cut = "the end of the GIF is missing"
    if len(data) < 13:
        return cut
    position = 13 + _colours(data[10])
    while position < size:
        kind = data[position]
        if kind == 0x3B:
            return ""
        if kind == 0x21:
            position += 2
        elif kind == 0x2C and position + 9 < size:
            position += 11 + _colours(data[position + 9])
        else:
            return cut
        while position < size and data[position]:
            position += 1 + data[position]
        position += 1
    return cut


def _mpegts(file: IO[bytes], size: int) -> str:
    """Check that the last packet of a transport stream is complete."""
    head = file.read(1024)
    for length, offset in ((188, 0), (192, 4), (204, 0)):
        if all(head[place : place + 1] == b"G" for place in (offset, offset + length)):
            break
    else:
        return ""
    rest = size % length
    file.seek(size - rest + offset)
    is_aligned = file.read(1) == b"G"
    return "its last packet is cut off" if rest > offset and is_aligned else ""


def _y4m(file: IO[bytes], size: int) -> str:
    """Check that the last frame is complete: all have the size of the first."""
    head = file.readline(256)
    start = file.readline(256)
    fields = {part[:1]: part[1:] for part in head.split()[1:]}
    chroma = {b"420": 1.5, b"422": 2.0, b"444": 3.0, b"mono": 1.0}.get(
        fields.get(b"C", b"420").removesuffix(b"jpeg").removesuffix(b"paldv").removesuffix(b"mpeg2")
    )
    sides = fields.get(b"W", b""), fields.get(b"H", b"")
    if chroma is None or start != b"FRAME\n" or not all(side.isdigit() for side in sides):
        return ""
    width, height = map(int, sides)
    if width % 2 or height % 2:
        return ""
    length = len(start) + int(width * height * chroma)
    return "its last frame is cut off" if (size - len(head)) % length else ""


def _mxf(file: IO[bytes], size: int) -> str:
    """Compare the file with the place of its footer, which an open header leaves at 0."""
    head = file.read(65_536)
    place = head.find(_MXF_PARTITION)
    if place < 0:
        return ""
    length = head[place + 16] if len(head) > place + 16 else 0
    value = place + 17 + (length & 0x7F if length & 0x80 else 0)
    footer = int.from_bytes(head[value + 24 : value + 32], "big")
    return _shorter(size, place + footer + 1) if footer else ""


def _colours(flags: int) -> int:
    """Return the number of bytes of a GIF's colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


_CHECKS: dict[str, Callable[[IO[bytes], int], str]] = {
    "asf": _asf,
    "flv": _flv,
    "gif": _gif,
    "matroska,webm": _matroska,
    "mov,mp4,m4a,3gp,3g2,mj2": _mov,
    "mpegts": _mpegts,
    "mxf": _mxf,
    "ogg": _ogg,
    "yuv4mpegpipe": _y4m,
}
