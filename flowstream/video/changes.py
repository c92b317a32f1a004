"""Search of a file for a change of its coding, and for a second video behind the first one.

FFmpeg decodes a stream with the decoder that suits its first packets, and reads some containers
only to the end that their header states. What follows is lost, mostly without an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from flowstream.disk import open_regular
from flowstream.video.programs import find_type_change
from flowstream.video.segments import find_other_segment
from flowstream.video.signatures import find_other_coding, is_raw

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_FLV_HEADER = re.compile(rb"FLV\x01[\x00\x01\x04\x05]\x00\x00\x00\x09\x00\x00\x00\x00")
_GIF_HEADER = re.compile(rb"\x3bGIF8[79]a")
_PNG_HEADER = b"\x89PNG\r\n\x1a\n"
_BLOCK = 4 << 20
# Larger indices of MP4 files are not searched.
_LARGEST_INDEX = 64 << 20
# FFmpeg decodes all variants of ProRes and of DV in one stream.
_ONE_CODING = (b"ap", b"dv")


def find_change(path: Path, container: str, stream_id: int) -> str:
    """Return where the coding of a stream changes or a second video begins, or an empty string.

    Parameters
    ----------
    path : path
        A file that FFmpeg opened.
    container : str
        FFmpeg's name of its format.
    stream_id : int
        Number of the stream in its container.
    """
    check = _CHECKS.get(container)
    try:
        with open_regular(path) as file:
            if is_raw(container):
                return find_other_coding(file, container)
            if check is None:
                return ""
            return check(file, os.fstat(file.fileno()).st_size, stream_id)
    except OSError:
        return ""  # decoding reports it


def _second(kind: str, position: int) -> str:
    return f"a second {kind} begins at byte {position}, where FFmpeg does not read on"


def _asf(file: IO[bytes], size: int, stream_id: int) -> str:
    """Look for a header where the properties state the end of the file."""
    head = file.read(4096)
    place = head.find(_ASF_PROPERTIES)
    if place < 0 or len(head) < place + 92 or head[place + 88] & 1:
        return ""
    stated = int.from_bytes(head[place + 40 : place + 48], "little")
    if not 0 < stated < size:
        return ""
    file.seek(stated)
    return _second("ASF file", stated) if file.read(16) == _ASF_HEADER else ""


def _flv(file: IO[bytes], size: int, stream_id: int) -> str:
    """Look for a header behind the first one."""
    position, tail = 1, b""
    file.seek(position)
    while block := file.read(_BLOCK):
        found = _FLV_HEADER.search(tail + block)
        if found:
            return _second("FLV file", position - len(tail) + found.start())
        position, tail = position + len(block), block[-12:]
    return ""


def _apng(file: IO[bytes], size: int, stream_id: int) -> str:
    """Look for a signature behind the last chunk."""
    position = len(_PNG_HEADER)
    while position + 12 <= size:
        file.seek(position)
        head = file.read(8)
        position += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            file.seek(position)
            return _second("PNG file", position) if file.read(8) == _PNG_HEADER else ""
    return ""


def _gif(file: IO[bytes], size: int, stream_id: int) -> str:
    """Look for a second GIF with a canvas of another size; FFmpeg keeps the first one."""
    content = file.read()
    for match in _GIF_HEADER.finditer(content):
        if content[match.end() : match.end() + 4] != content[6:10]:
            return f"a second GIF file with another size begins at byte {match.start() + 1}"
    return ""


# --- MP4 and MOV ----------------------------------------------------------------------------------


class _Box(NamedTuple):
    kind: bytes
    start: int
    """Position of its content."""
    stop: int


def _mov(file: IO[bytes], size: int, stream_id: int) -> str:
    """Compare the indices of the file, and the sample descriptions of the track."""
    indices: list[tuple[int, bytes]] = []
    for box in _boxes_of(file, size):
        if box.kind == b"moov" and box.stop - box.start <= _LARGEST_INDEX:
            file.seek(box.start)
            indices.append((box.start - 8, file.read(box.stop - box.start)))
    if not indices:
        return ""
    descriptions = [_descriptions(content, stream_id) for _, content in indices]
    for (place, content), found in zip(indices[1:], descriptions[1:], strict=True):
        # Segments of a live stream repeat the index, and their fragments belong to any of them.
        if b"mvex" not in content or found != descriptions[0]:
            return _second("index (moov)", place)
    kinds = {entry[4:8] for entry in descriptions[0]}
    if len(kinds) < 2 or any(all(kind.startswith(one) for kind in kinds) for one in _ONE_CODING):
        return ""
    names = " and ".join(sorted(kind.decode("latin-1") for kind in kinds))
    return f"the track holds several codings ({ascii(names)[1:-1]}), and FFmpeg reads only one"


def _boxes_of(file: IO[bytes], size: int) -> Iterator[_Box]:
    """Yield the complete boxes of the top level."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        box = _box(file.read(16), position, size)
        if box is None:
            return
        yield box
        position = box.stop


def _box(head: bytes, position: int, size: int) -> _Box | None:
    """Return the box that starts with `head`; None if it is not complete."""
    length, start = int.from_bytes(head[:4], "big"), position + 8
    if length == 1 and len(head) == 16:
        length, start = int.from_bytes(head[8:], "big"), position + 16
    length = length or size - position
    stop = position + length
    return _Box(head[4:8], start, stop) if start <= stop <= size else None


def _inside(content: bytes, outer: _Box, kind: bytes) -> Iterator[_Box]:
    """Yield the boxes of one kind in a box."""
    position = outer.start
    while position + 8 <= outer.stop:
        box = _box(content[position : position + 16], position, outer.stop)
        if box is None:
            return
        if box.kind == kind:
            yield box
        position = box.stop


def _descriptions(index: bytes, track_id: int) -> list[bytes]:
    """Return the sample descriptions that the chunks of a track use."""
    whole = _Box(b"moov", 0, len(index))
    for track in _inside(index, whole, b"trak"):
        header = next(_inside(index, track, b"tkhd"), None)
        if header is None:
            continue
        place = header.start + (20 if index[header.start : header.start + 1] == b"\1" else 12)
        if int.from_bytes(index[place : place + 4], "big") != track_id:
            continue
        for table in _tables(index, track):
            entries = _entries(index, table)
            used = _used(index, table)
            chosen = [entry for number, entry in enumerate(entries, 1) if number in used]
            return chosen or entries  # fragments have tables of their own
    return []


def _tables(index: bytes, track: _Box) -> Iterator[_Box]:
    for media in _inside(index, track, b"mdia"):
        for information in _inside(index, media, b"minf"):
            yield from _inside(index, information, b"stbl")


def _entries(index: bytes, table: _Box) -> list[bytes]:
    """Return the boxes of the sample description box, without their headers' first four bytes."""
    found = []
    for box in _inside(index, table, b"stsd"):
        position = box.start + 8
        while position + 8 <= box.stop:
            entry = _box(index[position : position + 16], position, box.stop)
            if entry is None:
                break
            found.append(index[position : entry.stop])
            position = entry.stop
    return found


def _used(index: bytes, table: _Box) -> set[int]:
    """Return the numbers of the descriptions in the table of chunks, 1-based."""
    used = set()
    for box in _inside(index, table, b"stsc"):
        for position in range(box.start + 8, box.stop - 11, 12):
            used.add(int.from_bytes(index[position + 8 : position + 12], "big"))
    return used


_CHECKS: dict[str, Callable[[IO[bytes], int, int], str]] = {
    "apng": _apng,
    "asf": _asf,
    "flv": _flv,
    "gif": _gif,
    "matroska,webm": find_other_segment,
    "mov,mp4,m4a,3gp,3g2,mj2": _mov,
    "mpegts": find_type_change,
}
