"""Groups of pictures before a part of a video: counted by their packets, not decoded.

A group starts with a key frame. One that is closed needs no other group and no other group needs
it: none of its frames is shown before its key frame, or after the next one. Whatever is unusual
(missing or repeated stamps, marks of damage, hidden packets) ends the skipping, and all frames from
there on are decoded as if there were no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from av.packet import Packet
from av.video.stream import VideoStream

from flowstream.video.packets import AnyPacket
from flowstream.video.parts import Pair, Part

Marked = tuple[AnyPacket, bool]
"""Packet, and whether it is marked as damaged."""

# Containers that give each packet a presentation time, and codecs of one frame per packet.
_CONTAINERS = ("mov", "matroska")
_CODECS = frozenset({"h264", "hevc", "mjpeg", "vp9", "av1"})

# Two groups are held in memory.
_MOST_BYTES = 64 << 20
# Times of frames may be shifted by misplaced stamps, but by less than this.
_MARGIN_SECONDS = 1.0


@dataclass(frozen=True)
class Undecoded:
    """Frame that was not decoded; its stamps are those of its packet."""

    pts: int | None
    dts: int | None
    is_key: bool


def can_skip(container: str, stream: VideoStream) -> bool:
    """Return whether groups of a video of this format may be skipped."""
    known = any(kind in container for kind in _CONTAINERS)
    return known and stream.codec_context.name in _CODECS


def wanted_packets(
    packets: Iterable[Marked], stream: VideoStream, part: Part, *, is_intact: Callable[[], bool]
) -> Iterator[tuple[AnyPacket | Undecoded, bool]]:
    """Yield the packets to decode, and the frames that are not decoded, in order of display.

    Parameters
    ----------
    packets : iterable of (packet, mark)
    stream : VideoStream
    part : Span or Pair
        The part that is wanted.
    is_intact : callable
        Returns whether all packets so far gave one frame each.
    """
    may_skip: bool | None = None
    for one in _groups_before(packets, stream, part):
        if not isinstance(one, list):
            yield one
            continue
        if may_skip is None:
            # The decoder still holds frames of the first group. The next packet starts anew.
            last = cast(AnyPacket, Packet())
            last.stream = stream
            yield last, False
            stream.codec_context.flush_buffers()
            may_skip = is_intact()
        if may_skip:
            frames = [Undecoded(packet.pts, packet.dts, packet.is_keyframe) for packet, _ in one]
            for frame in sorted(frames, key=lambda frame: frame.pts or 0):
                yield frame, False
        else:
            yield from one


def _groups_before(
    packets: Iterable[Marked], stream: VideoStream, part: Part
) -> Iterator[Marked | list[Marked]]:
    """Yield packets to decode, and groups to skip as lists.

    The first group is never skipped, because it tells the size of the video.
    """
    source, is_entry = iter(packets), _entry_check(stream)
    stamps: list[int | None] = []
    current: list[Marked] = []
    for one in source:
        if _starts_group(one) and stamps:
            current = [one]
            break
        stamps += [one[0].pts] * bool(one[0].size)
        yield one
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps) or not current or (current[0][0].pts or 0) <= max(known):
        yield from current
        yield from source
        return
    first, count, unit = min(known), len(known), float(stream.time_base or 0)
    held: list[Marked] = []  # the group before the one that is being read
    waiting = 0
    for one in source:
        if not _starts_group(one):
            current.append(one)
            waiting += one[0].size
            if waiting > _MOST_BYTES:
                break
            continue
        if held:
            key = current[0][0]
            closed = _is_closed(held, key.pts) and _is_closed(current, one[0].pts)
            seconds = ((key.pts or 0) - first) * unit
            if not (closed and is_entry(key) and _is_early(part, count + len(held), seconds)):
                current.append(one)
                break
            yield held
            count += len(held)
            waiting -= sum(packet.size for packet, _ in held)
        held, current = current, [one]
        waiting += one[0].size
    yield from held
    yield from current
    yield from source


def _starts_group(one: Marked) -> bool:
    return bool(one[0].size and one[0].is_keyframe)


def _is_closed(group: list[Marked], following: int | None) -> bool:
    """Return whether a group is shown between its key frame and the next one, frame by frame."""
    stamps = [packet.pts for packet, _ in group if packet.pts is not None]
    plain = all(
        packet.size and not (is_marked or packet.is_corrupt or packet.is_discard)
        for packet, is_marked in group
    )
    return (
        plain
        and len(set(stamps)) == len(group)
        and following is not None
        and group[0][0].pts == min(stamps)
        and max(stamps) < following
    )


def _is_early(part: Part, index: int, seconds: float) -> bool:
    """Return whether all frames before the one with this index and time are before the part."""
    if isinstance(part, Pair):
        return index <= part.first
    if part.unit == "frames":
        return index <= part.start
    return seconds + _MARGIN_SECONDS <= part.start


def _entry_check(stream: VideoStream) -> Callable[[AnyPacket], bool]:
    """Return a function that tells whether decoding can start at a key frame.

    In H.264 and HEVC a key frame may be a point from which the picture recovers only after some
    frames. Only an IDR frame needs none before it.
    """
    units = _UNITS.get(stream.codec_context.name)
    if units is None:
        return lambda packet: True
    extra = bytes(stream.codec_context.extradata or b"")
    if len(extra) <= units.length_place or extra[0] != 1:
        return lambda packet: False  # units without lengths, as in broadcasts
    width = (extra[units.length_place] & 3) + 1
    return lambda packet: units.first_slice(bytes(packet), width) in units.entries


@dataclass(frozen=True)
class _Units:
    """Syntax of the units that a packet consists of (ISO/IEC 14496-15).

    `length_place` is where the decoder's configuration holds the size of lengths; `shift` and
    `mask` give the type of a unit from its first byte; `slices` are the types that hold a part of
    the picture, and `entries` those of IDR frames.
    """

    length_place: int
    shift: int
    mask: int
    slices: range
    entries: tuple[int, ...]

    def first_slice(self, data: bytes, width: int) -> int:
        """Return the type of the first unit that holds a part of the picture, or -1."""
        at = 0
        while at + width < len(data):
            kind = data[at + width] >> self.shift & self.mask
            if kind in self.slices:
                return kind
            at += width + int.from_bytes(data[at : at + width], "big")
        return -1


_UNITS = {
    "h264": _Units(4, 0, 31, range(1, 6), (5,)),
    "hevc": _Units(21, 1, 63, range(32), (19, 20)),
}
