"""Packets that a decoder takes without an answer: neither a frame nor an error.

A decoder that gets packets of another coding often skips them in silence.
"""

from __future__ import annotations

import re

from flowstream.video.packets import AnyPacket

# Codings whose decoders hold back at most one frame, and the others: 16 frames, in two fields each.
_PROMPT = frozenset(
    {"ffv1", "flv", "h263", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v3", "prores"}
    | {"theora", "vp8", "vp9", "wmv1", "wmv2"}
)
_MOST_PROMPT, _MOST = 8, 40
# Placeholders of frames that repeat the one before.
_EMPTY_BYTES = 32
# Formats whose packets FFmpeg finds by searching for the start of the next frame. What is no frame
# becomes a part of the packet before. (Raw formats are searched from end to end.)
_SEARCHED = frozenset({"mpeg", "mpegts"})
_START_CODES = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_MOST_FOREIGN = 2


class Answers:
    """Record of the answers of a decoder to the packets of one stream.

    Parameters
    ----------
    container, codec : str
        FFmpeg's names.
    rows : int
        Height of the frames.
    """

    def __init__(self, container: str, codec: str, rows: int) -> None:
        self._codec = codec
        self._slices = -(-rows // 32) * 2
        self._is_searched = container in _SEARCHED
        self._most = _MOST_PROMPT if codec in _PROMPT else _MOST
        self._silent = self._refused = 0
        self._has_begun = False
        self.longest, self.place = 0, 0
        """Largest number of refused packets in a row, and number of frames before them."""
        self.fault = ""
        """Evidence of packets that are lost, or an empty string."""

    def add(
        self,
        packet: AnyPacket,
        *,
        frames: int | None,
        has_errors: bool,
        index: int,
        may_fail: bool,
    ) -> None:
        """Count a packet.

        Parameters
        ----------
        packet : Packet
        frames : int or None
            Number of frames that the decoder returned; None if it refused the packet.
        has_errors : bool
            True if it logged errors.
        index : int
            Number of frames so far.
        may_fail : bool
            True before the first key frame, where packets need not be decodable.
        """
        if not packet.size:
            return
        self._refused = self._refused + 1 if frames is None and not may_fail else 0
        if self._refused > self.longest:
            self.longest, self.place = self._refused, index
        if self.fault:
            return
        self._has_begun = self._has_begun or bool(frames)
        if self._is_searched and _holds_foreign(self._codec, bytes(packet), self._slices):
            self.fault = f"the coding changes after frame {index}: unknown data follow it"
        if self._codec not in _RECONFIGURED and _is_reconfigured(packet):
            self.fault = f"the configuration of the decoder changes at frame {index}"
        # H.264 may recover from slices in many frames, of which none is shown.
        is_answer = frames != 0 or has_errors
        if is_answer or may_fail or (self._codec == "h264" and not self._has_begun):
            self._silent = 0
        elif packet.size > _EMPTY_BYTES and not _is_hidden(self._codec, bytes(packet)[:16]):
            self._silent += 1
            if self._silent > self._most:
                self.fault = (
                    f"more than {self._most} packets in a row give no frame after frame {index}; "
                    "the coding may change there"
                )


# Decoders that take another configuration in the middle of a stream.
_RECONFIGURED = frozenset({"av1", "h264", "hevc", "libdav1d", "vvc"})


def _is_reconfigured(packet: AnyPacket) -> bool:
    """Return whether a packet brings another configuration than the decoder has."""
    if not packet.has_sidedata("new_extradata"):
        return False
    configuration = bytes(packet.get_sidedata("new_extradata"))
    return configuration != bytes(packet.stream.codec_context.extradata or b"")


def _is_hidden(codec: str, data: bytes) -> bool:
    """Return whether the frame of a packet is only a reference for others (RFC 6386, 9.1)."""
    if codec == "vp8":
        return bool(data) and not data[0] & 0x10
    # VP9: marker, profile, show_existing_frame, frame_type, show_frame
    return codec == "vp9" and bool(data) and not data[0] & 0x0A


def _holds_foreign(codec: str, data: bytes, slices: int) -> bool:
    """Return whether a packet holds more than its frame, in another coding."""
    if codec == "mpeg4":
        # Codes above those of layers and below those of headers are reserved.
        return _count_codes(data, 0x30, 0xB0) > _MOST_FOREIGN
    if codec in ("mpeg1video", "mpeg2video"):
        # The code of a slice is its row.
        return _count_codes(data, slices + 1, 0xB0) > _MOST_FOREIGN
    return False


def _count_codes(data: bytes, first: int, end: int) -> int:
    """Return the number of start codes of MPEG with values in a range."""
    return sum(first <= ord(match[1]) < end for match in _START_CODES.finditer(data))
