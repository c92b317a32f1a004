"""Formats of raw video, which FFmpeg recognises by statistics of the bytes and not by a mark.

Two of its formats can then look equally likely, and it takes neither: about one Motion JPEG file in
a thousand also looks like H.263. The suffix of the name and the first bytes settle what it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class RawFormat(NamedTuple):
    """Format that a suffix names."""

    demuxer: str
    """FFmpeg's name."""
    start: re.Pattern[bytes] | None
    """First bytes of a file of this format; None for containers, which FFmpeg finds."""


def _units(codes: bytes) -> re.Pattern[bytes]:
    """Return the pattern of a start code and one of the bytes or pairs of bytes of `codes`."""
    return re.compile(rb"\x00{2,8}\x01(?:" + codes + rb")", re.DOTALL)


_H264 = RawFormat("h264", _units(rb"[\x07\x27\x47\x67\x09\x29\x49\x69\x06]"))
_HEVC = RawFormat("hevc", _units(rb"[\x40\x42\x46\x4e]\x01"))
_VVC = RawFormat("vvc", _units(rb"\x00[\x61\x69\x71\x79\xa1]"))
_MPEG = RawFormat("mpegvideo", _units(rb"\xb3"))
_MPEG4 = RawFormat("m4v", _units(rb"[\xb0\xb5\x00-\x2f]"))
_AVS = _units(rb"\xb0")
_MJPEG = RawFormat("mjpeg", re.compile(rb"\xff\xd8\xff"))
_DIRAC = RawFormat("dirac", re.compile(rb"BBCD"))
_DNXHD = RawFormat("dnxhd", re.compile(rb"\x00\x00\x02\x80"))
_STREAM = RawFormat("mpegts", None)
_PROGRAM = RawFormat("mpeg", None)

_FORMATS: dict[str, RawFormat] = {
    **dict.fromkeys((".mjpeg", ".mjpg"), _MJPEG),
    **dict.fromkeys((".h264", ".264", ".avc", ".h26l"), _H264),
    **dict.fromkeys((".h265", ".265", ".hevc"), _HEVC),
    **dict.fromkeys((".h266", ".266", ".vvc"), _VVC),
    **dict.fromkeys((".m2v", ".m1v", ".mpv"), _MPEG),
    **dict.fromkeys((".vc2", ".drc"), _DIRAC),
    **dict.fromkeys((".dnxhd", ".dnxhr"), _DNXHD),
    **dict.fromkeys((".ts", ".m2t", ".m2ts", ".mts", ".trp"), _STREAM),
    **dict.fromkeys((".mpg", ".mpeg", ".vob", ".m2p", ".ps"), _PROGRAM),
    ".m4v": _MPEG4,
    ".h263": RawFormat("h263", re.compile(rb"\x00\x00[\x80-\x83]")),
    ".h261": RawFormat("h261", re.compile(rb"\x00\x01[\x00-\x0f]")),
    ".cavs": RawFormat("cavsvideo", _AVS),
    ".avs2": RawFormat("avs2", _AVS),
    ".avs3": RawFormat("avs3", _AVS),
    ".obu": RawFormat("obu", re.compile(rb"\x12\x00")),
    ".vc1": RawFormat("vc1", _units(rb"\x0f")),
    ".dv": RawFormat("dv", re.compile(rb"\x1f\x07\x00")),
}


def find_format(path: Path, head: bytes) -> str | None:
    """Return FFmpeg's name of the raw format if suffix and first bytes agree on one, or None."""
    named = _FORMATS.get(path.suffix.lower())
    return named.demuxer if named and named.start and named.start.match(head) else None


def format_by_suffix(path: Path) -> str | None:
    """Return FFmpeg's name of the format that the suffix alone names, or None."""
    named = _FORMATS.get(path.suffix.lower())
    return named.demuxer if named else None
