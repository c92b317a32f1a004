"""Packets of a video stream in the order of the file, and the frame rate of the first ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import dropwhile, islice
from typing import TypeAlias, cast

import av
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.stream import VideoStream

from flowstream.video.clock import JUMP_SECONDS, measure_rate
from flowstream.video.messages import collect_errors

# Packets that are read ahead to measure the frame rate, and how much memory they may take.
_AHEAD, _AHEAD_BYTES = 64, 4 << 20

AnyPacket: TypeAlias = "Packet[VideoStream]"


class PacketReader:
    """Iterator over the packets of one stream; the last ones are empty and flush the decoder.

    Parameters
    ----------
    container : InputContainer
    stream : VideoStream
        A stream of the container.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._ahead: deque[AnyPacket] = deque()
        self._source = self._demux()
        self.by_decoding = container.format.name == "avi"
        """Whether only decoding times are reliable. AVI holds nothing else: the presentation times
        that FFmpeg gives there are guesses, and wrong ones with B-frames."""
        self.may_jump = bool(int(container.format.flags) & cast(int, Flags.ts_discont.value))
        """Whether the clock of the format may jump."""
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

    def _demux(self) -> Iterator[AnyPacket]:
        source = self._container.demux(self._stream)
        started = False
        while True:
            try:
                with collect_errors(started=started) as errors:
                    packet = next(source, None)
            except IndexError:
                # PyAV cannot name a stream that appears in the middle of the file
                source = self._container.demux(self._stream)
                continue
            except av.FFmpegError as error:
                self.error = f"reading stopped: {error.strerror}"
                packet, source = cast(AnyPacket, Packet()), iter(())
                packet.stream = self._stream
            self.faults += errors[:1]
            if packet is None:
                return
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
