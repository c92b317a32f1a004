"""Search of raw video, which has no container, for the start of video in another coding.

FFmpeg takes such bytes for a part of the picture before them, or skips them.
"""

from __future__ import annotations

import re
from typing import IO

_BLOCK = 4 << 20
_OVERLAP = 16

# What a coding writes at its start or at each picture, and how often it must be there. In the other
# codings with start codes these codes are reserved or forbidden.
_SIGNATURES: dict[str, tuple[re.Pattern[bytes], int]] = {
    # sequence parameter sets with a known profile
    "h264": (re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67][,BMSVXdnvz\x80\xf4]"), 1),
    "hevc": (re.compile(rb"\x00\x00\x01[\x40\x42\x44]\x01"), 2),
    "mpeg2video": (re.compile(rb"\x00\x00\x01\xb8"), 1),
    "mpeg4": (re.compile(rb"\x00\x00\x01\xb6"), 2),
    "mjpeg": (
        re.compile(
            rb"\xff\xd8\xff(\xe0\x00\x10(JFIF|AVI1)|\xdb\x00[\x43\x84\xc5]|\xfe\x00.Lavc|\xc4\x01)",
            re.DOTALL,
        ),
        2,
    ),
}
_CODINGS = {
    "h264": "h264", "hevc": "hevc", "mpegvideo": "mpeg2video", "m4v": "mpeg4", "mjpeg": "mjpeg",
    "jpeg_pipe": "mjpeg",
}  # fmt: skip
"""Coding of each raw format."""


def is_raw(container: str) -> bool:
    """Return whether a format is searched for other codings."""
    return container in _CODINGS


def find_other_coding(file: IO[bytes], container: str) -> str:
    """Return which other coding begins where in a raw stream, or an empty string."""
    others = {name: item for name, item in _SIGNATURES.items() if name != _CODINGS[container]}
    counts, places = dict.fromkeys(others, 0), dict.fromkeys(others, 0)
    position, tail = 0, b""
    while block := file.read(_BLOCK):
        window, start = tail + block, position - len(tail)
        for name, (pattern, most) in others.items():
            for match in pattern.finditer(window):
                if match.end() <= len(tail):
                    continue  # counted in the block before
                places[name] = places[name] if counts[name] else start + match.start()
                counts[name] += 1
                if counts[name] >= most:
                    return f"video in another coding ({name}) is at byte {places[name]}"
        position, tail = position + len(block), window[-_OVERLAP:]
    return ""
