"""Codings of the streams of a transport stream, from all of its program map tables.

The tables are in ISO/IEC 13818-1, 2.4.4. FFmpeg chooses the decoder by the tables at the start of
the file, or by those at its end if the file is short.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_PACKETS = 50_000
"""Packets that are read at once."""
# Stream types of video. MPEG-1 and MPEG-2 have one decoder.
_CODINGS = {
    0x01: "mpeg1video or mpeg2video", 0x02: "mpeg1video or mpeg2video", 0x10: "mpeg4",
    0x1B: "h264", 0x1F: "h264", 0x20: "h264", 0x21: "jpeg2000", 0x24: "hevc", 0x25: "hevc",
    0x33: "vvc", 0x42: "cavs", 0xD1: "dirac", 0xD2: "avs2", 0xD4: "avs3", 0xEA: "vc1",
}  # fmt: skip


def find_type_change(file: IO[bytes], size: int, pid: int) -> str:
    """Return where the coding of the packets with an identifier changes, or an empty string."""
    map_pids: set[int] = set()
    known = ""
    for position, packet in _tables(file, map_pids):
        for kind, stream in _streams(packet):
            coding = _CODINGS.get(kind, f"type {kind:#04x}") if stream == pid else ""
            if coding and known and coding != known:
                return f"the coding changes from {known} to {coding} at byte {position}"
            known = coding or known
    return ""


def _tables(file: IO[bytes], map_pids: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the position and payload of each packet that starts another program map table."""
    seen: set[bytes] = set()
    last: dict[int, bytes] = {}
    for start, length, rows in _blocks(file):
        pids = (rows[:, 1].astype(np.int32) & 0x1F) << 8 | rows[:, 2]
        starts = (rows[:, 1] & 0x40) != 0
        for index in np.flatnonzero(starts & ~pids.astype(bool)):
            payload = _payload(rows[index].tobytes())
            if payload not in seen:
                seen.add(payload)
                map_pids |= _map_pids(payload)
        wanted = starts & np.isin(pids, sorted(map_pids))
        for index in np.flatnonzero(wanted):
            payload, pid = _payload(rows[index].tobytes()), int(pids[index])
            if last.get(pid) != payload:
                last[pid] = payload
                yield start + int(index) * length, payload


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Yield position, distance and content of runs of packets; noise between them is skipped."""
    head = file.read(1024)
    for length, offset in ((188, 0), (192, 4), (204, 0)):
        if all(
            head[offset + step * length : offset + step * length + 1] == b"G" for step in (0, 1)
        ):
            break
    else:
        return
    position = 0
    while True:
        file.seek(position)
        block = file.read(length * _PACKETS)
        rows = np.frombuffer(block[: len(block) // length * length], np.uint8)
        rows = rows.reshape(-1, length)[:, offset : offset + 188]
        if not len(rows):
            return
        in_step = rows[:, 0] == ord("G")
        count = len(rows) if in_step.all() else int(np.argmin(in_step))
        if count:
            yield position, length, rows[:count]
            position += count * length
            continue
        found = _next_packet(block, length, offset)
        position += found if found else len(rows) * length


def _next_packet(block: bytes, length: int, offset: int) -> int:
    """Return where the next packets start, at least 1; 0 if there are none."""
    place = block.find(b"G", offset + 1)
    while place >= 0:
        if block[place + length : place + length + 1] in (b"G", b""):
            return place - offset
        place = block.find(b"G", place + 1)
    return 0


def _payload(packet: bytes) -> bytes:
    """Return the section that starts in a packet, if it is whole and its checksum is right."""
    start = 4
    if packet[3] & 0x20:
        start += 1 + packet[4]
    if not packet[3] & 0x10 or start >= 188:
        return b""
    start += 1 + packet[start]
    length = int.from_bytes(packet[start + 1 : start + 3], "big") & 0xFFF
    section = packet[start : start + 3 + length]
    is_whole = len(section) == 3 + length and length >= 9
    return section if is_whole and not _checksum(section) else b""


@lru_cache(maxsize=256)  # the same sections come several times a second
def _checksum(section: bytes) -> int:
    """Return the CRC-32 of MPEG, which is 0 over a section with its own checksum."""
    value = 0xFFFFFFFF
    for byte in section:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def _map_pids(section: bytes) -> set[int]:
    """Return the identifiers of the program map tables that an association table lists."""
    if section[:1] != b"\0":
        return set()
    entries = [section[place : place + 4] for place in range(8, len(section) - 7, 4)]
    programs = [entry for entry in entries if entry[:2] != b"\0\0"]
    return {int.from_bytes(entry[2:], "big") & 0x1FFF for entry in programs}


def _streams(section: bytes) -> Iterator[tuple[int, int]]:
    """Yield type and identifier of each stream that a program map table lists."""
    if section[:1] != b"\2":
        return
    place = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    while place + 5 <= len(section) - 4:
        yield section[place], int.from_bytes(section[place + 1 : place + 3], "big") & 0x1FFF
        place += 5 + (int.from_bytes(section[place + 3 : place + 5], "big") & 0xFFF)
