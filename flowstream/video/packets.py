"""Packets of a video stream in the order of the file, and the frame rate of the first ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import dropwhile, islice
from typing import TypeAlias, cast

import av
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from flowstream.video.clock import JUMP_SECONDS, measure_rate
from flowstream.video.messages import collect_errors

# Packets that are read ahead to measure the frame rate, and how much memory they may take.
_AHEAD, _AHEAD_BYTES = 64, 4 << 20
# Packets that FFmpeg's parsers hold back to the end of the file, and the empty one at the end.
_HELD_BACK = 4
# Streams with fewer packets are no part of the video.
_FEWEST = 3

AnyPacket: TypeAlias = "Packet[VideoStream]"


@dataclass
class _Places:
    """Places in the file of the packets of a stream."""

    known: list[int] = field(default_factory=list)
    count: int = 0

    def add(self, place: int | None) -> None:
        """Count a packet; FFmpeg does not know the places of all of them."""
        self.count += 1
        if place is not None:
            self.known.append(place)

    def has_between(self, other: _Places) -> bool:
        """Return whether a packet is between the first and the last one of another stream."""
        first, last = min(other.known), max(other.known)
        return any(first < place < last for place in self.known)


class PacketReader:
    """Iterator over the packets of one stream; the last ones are empty and flush the decoder.

    Parameters
    ----------
    container : InputContainer
    stream : VideoStream
        A stream of the container.
    others : sequence of Stream
        Other streams, whose places are compared with those of `stream`.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, others: Sequence[Stream] = ()
    ) -> None:
        self._container = container
        self._stream = stream
        self._ahead: deque[AnyPacket] = deque()
        self._source = self._demux()
        self.by_decoding = container.format.name == "avi"
        """Whether only decoding times are reliable. AVI holds nothing else: the presentation times
        that FFmpeg gives there are guesses, and wrong ones with B-frames."""
        self.may_jump = bool(int(container.format.flags) & cast(int, Flags.ts_discont.value))
        """Whether the clock of the format may jump."""
        # Only in such formats a stream may end and another one begin.
        self._wanted = [stream, *others] if self.may_jump else [stream]
        self._places: dict[int, _Places] = {}
        # Packets of streams that appear in the middle, counted before each of the last own packets.
        self._unknown, self._unknown_before = 0, deque([0], maxlen=_HELD_BACK)
        self.error = ""
        """Error with which reading stopped."""
        self.faults: list[str] = []
        """Errors that FFmpeg logged while it read on."""

    def __iter__(self) -> Iterator[tuple[AnyPacket, bool]]:
        """Yield each packet, and whether it is marked as damaged."""
        # FFmpeg's parsers hold back one packet, so that a mark may come one packet early.
        source = self._read()
        window = deque(islice(source, 3))
        while window:
            packet = window.popleft()
            yield packet, packet.is_corrupt and not self._is_seam(packet, window)
            window.extend(islice(source, 1))

    def succession(self) -> str:
        """Return which other stream takes turns with this one, or an empty string.

        Streams that belong together are interleaved. To be called when all packets are read.
        """
        own = self._places.get(self._stream.index)
        for index, other in self._places.items():
            if own is None or other is own or other.count < _FEWEST:
                continue
            if not (own.known and other.known):
                continue
            if own.has_between(other) and other.has_between(own):
                continue
            is_later = max(own.known) < min(other.known)
            order = "begins behind" if is_later else "ends before"
            if not is_later and max(other.known) > min(own.known):
                order = "takes turns with"
            is_video = self._container.streams[index].type == "video"
            advice = f"--stream {index} reads it" if is_video else "split the file there"
            return f"stream {index} {order} stream {self._stream.index}; {advice}"
        if self._unknown >= _FEWEST and self._unknown_before[0] <= 1:
            return "another stream begins where the video ends; split the file there to read it"
        return ""

    @cached_property
    def rate(self) -> tuple[float, bool]:
        """Frames per second of the first packets, and whether the gaps between them vary."""
        held = 0
        for packet in self._source:
            self._ahead.append(packet)
            held += packet.size
            if len(self._ahead) >= _AHEAD or (held > _AHEAD_BYTES and len(self._ahead) > 3):
                break
        stream = self._stream
        rates = [stream.average_rate, stream.base_rate, stream.guessed_rate]
        return measure_rate(self._first_stamps(), [float(rate) for rate in rates if rate])

    def _begin(self) -> Iterator[AnyPacket]:
        return cast("Iterator[AnyPacket]", self._container.demux(*self._wanted))

    def _demux(self) -> Iterator[AnyPacket]:
        source = self._begin()
        started = False
        while True:
            try:
                with collect_errors(started=started) as errors:
                    packet = next(source, None)
            except IndexError:
                # PyAV cannot name a stream that appears in the middle of the file
                source = self._begin()
                self._unknown += 1
                continue
            except av.FFmpegError as error:
                self.error = f"reading stopped: {error.strerror}"
                packet, source = cast(AnyPacket, Packet()), iter(())
                packet.stream = self._stream
            self.faults += errors[:1]
            if packet is None:
                return
            if packet.size and len(self._wanted) > 1:
                self._places.setdefault(packet.stream.index, _Places()).add(packet.pos)
            # The number of the empty packets at the end is always 0; their stream is right.
            if packet.stream.index != self._stream.index:
                continue
            self._unknown_before.append(self._unknown)
            started = started or packet.is_keyframe
            yield packet

    def _read(self) -> Iterator[AnyPacket]:
        while self._ahead:
            yield self._ahead.popleft()
        yield from self._source

    def _is_seam(self, packet: AnyPacket, following: Iterable[AnyPacket]) -> bool:
        """Return whether a mark stems from the joining of two recordings, not from damage.

        A transport stream numbers its parts. Where recordings are joined the numbering breaks, and
        FFmpeg marks the packet before: a key frame follows, or the clock jumps.
        """
        unit = float(self._stream.time_base or 0)
        for later in following if self.may_jump else ():
            if later.size and later.is_keyframe:
                return True
            if packet.dts is not None and later.dts is not None:
                gap = (later.dts - packet.dts) * unit
                if not 0 <= gap <= JUMP_SECONDS:
                    return True
        return False

    def _first_stamps(self) -> list[float]:
        unit = float(self._stream.time_base or 0)
        packets = [packet for packet in self._ahead if packet.size and not packet.is_discard]
        # What comes before the first key frame, or leads it, may not be decodable.
        packets = [*dropwhile(lambda packet: not packet.is_keyframe, packets)] or packets
        decoding = [packet.dts for packet in packets if packet.dts is not None]
        shown = [packet.pts for packet in packets if packet.pts is not None]
        if self.by_decoding or len(shown) < len(packets):
            return [tick * unit for tick in decoding]
        is_whole = not self._ahead[-1].size
        if not shown:
            return []
        # B-frames: what is shown after the last decoding time may not be read yet.
        until = shown[-1] if is_whole or not decoding else decoding[-1]
        return [tick * unit for tick in shown if tick >= shown[0] and (is_whole or tick <= until)]
