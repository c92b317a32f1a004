"""Video files, decoded one frame at a time on one thread, because videos run in parallel."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av

from flowstream.errors import VideoError
from flowstream.video.answers import Answers
from flowstream.video.changes import find_change
from flowstream.video.clock import Clock, describe_jumps
from flowstream.video.damage import Damage
from flowstream.video.frames import VideoInfo
from flowstream.video.messages import collect_errors
from flowstream.video.opening import choose_stream, open_and_listen, other_pictures, video_streams
from flowstream.video.packets import AnyPacket, PacketReader
from flowstream.video.parts import Part
from flowstream.video.pictures import AnyPicture, DecodedPicture, SkippedPicture
from flowstream.video.pixels import Converter, Orientation, find_orientation
from flowstream.video.skipping import Undecoded, can_skip, wanted_packets
from flowstream.video.structure import find_truncation

# What a player assumes where a file gives no rate at all.
NOMINAL_FPS = 25.0


class VideoFile:
    """Open video file; a context manager, because a stream outlives its container as garbage.

    Parameters
    ----------
    path : Path
    stream : int, optional
        FFmpeg's index of the stream; None for the default one.
    part : Span or Pair, optional
        Part that is wanted: frames before it are counted, but not decoded if that is safe.
    """

    timed = True
    """True if frames have presentation times."""

    def __init__(self, path: Path, *, stream: int | None = None, part: Part | None = None) -> None:
        self.path = path
        self._part = part
        self._container, errors = open_and_listen(path)
        try:
            self._stream = choose_stream(self._container, path, stream)
        except VideoError:
            self._container.close()
            raise
        self._stream.codec_context.thread_count = 1
        self._packets = PacketReader(
            self._container, self._stream, other_pictures(self._container, self._stream)
        )
        self._is_chosen = stream is not None
        self._clock: Clock | None = None
        self._is_started, self._first_key = False, cast("int | None", None)
        self._cut_off = 0  # stated packets whose frames an edit list does not show
        self._started: Generator[AnyPicture] | None = None
        self.damage = self._expect()
        if not self.damage.stated:
            # Headers are often sloppy; a stated count of frames is the better evidence.
            self._packets.faults += errors[:1]

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *error: object) -> None:
        if self._started is not None:
            self._started.close()
        self._container.close()

    @property
    def period(self) -> float:
        """Mean seconds between the first frames, by their time stamps."""
        return 1 / (self._packets.rate[0] or NOMINAL_FPS)

    @property
    def fps(self) -> float:
        """Mean frames per second, measured on the frames that were read."""
        first, _ = self._packets.rate
        measured = self._clock.fps() if self._clock is not None else 0.0
        # The rounding of stamps to milliseconds must not make 24.9996 of 25.
        return first if not measured or abs(first / measured - 1) < 0.002 else measured

    def notes(self) -> list[str]:
        """Return one line for each irregularity so far."""
        jumps = describe_jumps(self._clock.jumps) if self._clock is not None else []
        return jumps + self.damage.describe()

    def info(self) -> VideoInfo:
        """Return the facts from the header, the first packets and the first frame."""
        rate, varies = self._packets.rate
        pictures = self.pictures()
        picture = next(pictures, None)
        if not isinstance(picture, DecodedPicture):
            raise VideoError(f"{self.path}: no frame of it can be decoded; it is empty or damaged")
        self._started = _put_back(picture, pictures)
        stream = self._stream
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if picture.turn.swapped:
            aspect = 1 / aspect
        return VideoInfo(
            path=self.path,
            rows=picture.size[0],
            columns=picture.size[1],
            fps=rate,
            header_frames=(self.damage.stated - self._cut_off) or None,
            seconds=self._duration(),
            codec=stream.codec_context.name,
            pixel_format=picture.frame.format.name,
            rotation=picture.frame.rotation % 360,
            variable=varies or self._states_variable_rate(),
            container_fps=float(stream.average_rate or 0),
            sample_aspect=f"{aspect.numerator}:{aspect.denominator}",
            stream=stream.index,
            streams=len(video_streams(self._container)),
            bits=max(part.bits for part in picture.frame.format.components),
        )

    def pictures(self) -> Generator[AnyPicture]:
        """Return the frames in the order of display; they can be read once.

        Raises
        ------
        VideoError
            If the frame size changes.
        """
        started, self._started = self._started, None
        return started or self._read()

    def _read(self) -> Generator[AnyPicture]:
        converter = Converter()
        turn, size = None, None
        self._clock = Clock(period=self.period, may_jump=self._packets.may_jump)
        frames = ((marked, self._stamp(marked[0])) for marked in self._frames())
        for index, ((frame, is_corrupt), seconds) in enumerate(self._clock.place(frames)):
            if isinstance(frame, Undecoded):
                yield SkippedPicture(index, seconds)
                continue
            # The first frame decides. A frame that was asked for its side data is part of a cycle
            # and waits for the garbage collector, which does not know how much memory it holds.
            turn = turn or self._orientation(frame)
            size = size or (frame.height, frame.width)
            if (frame.height, frame.width) != size:
                raise VideoError(
                    f"{self.path}: frame {index} is {frame.width}x{frame.height}, those "
                    f"before it {size[1]}x{size[0]}. Re-encode the video to one size"
                )
            yield DecodedPicture(index, seconds, frame, turn, converter, is_corrupt)

    def _orientation(self, frame: av.VideoFrame) -> Orientation:
        try:
            return find_orientation(frame)
        except VideoError as error:
            raise VideoError(f"{self.path}: {error}") from error

    def _stamp(self, frame: av.VideoFrame | Undecoded) -> float | None:
        ticks = frame.dts if self._packets.by_decoding else frame.pts
        unit = self._stream.time_base
        return float(ticks * unit) if ticks is not None and unit is not None else None

    def _duration(self) -> float | None:
        stream = self._stream
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        duration = self._container.duration
        return None if duration is None else duration / av.time_base

    def _states_variable_rate(self) -> bool:
        """Return whether the header's mean and highest rate differ, where they are measured."""
        if self._container.format.name.partition(",")[0] not in ("mov", "matroska"):
            return False
        rate, highest = self._stream.average_rate, self._stream.base_rate
        # Twice the rate is what interlaced H.264 states: fields, not frames.
        return bool(rate and highest and highest not in (rate, 2 * rate))

    def _expect(self) -> Damage:
        """Return a record of damage with the number of packets that the header states."""
        count, kind = self._stream.frames, self._container.format.name
        if count and "mov" in kind:
            # The index does not hold all that an edit list cuts off, and the plain count does.
            entries = [entry for entry in self._stream.index_entries if entry.size]
            self._cut_off = sum(entry.is_discard for entry in entries)
            return Damage(stated=len(entries))
        if count and kind == "avi":
            # The count is of time slots. Recorders leave one empty, without an entry in the index,
            # for a frame that they dropped, or with an entry of size 0.
            entries = list(self._stream.index_entries)
            slots = [entry.timestamp for entry in entries]
            empty = slots[-1] - slots[0] + 1 - len(slots) if slots else 0
            empty += sum(entry.size == 0 for entry in entries)
            return Damage(stated=count - empty, slack=True)
        return Damage(stated=count, has_trailer=kind == "filmstrip")

    # --- decoding ------------------------------------------------------------------------------

    def _wanted(self) -> Iterator[tuple[AnyPacket | Undecoded, bool]]:
        """Yield the packets to decode, and frames before the part that need not be decoded."""
        damage, container = self.damage, self._container.format.name
        if self._part is None or not can_skip(container, self._stream):
            return iter(self._packets)

        def is_intact() -> bool:
            unclear = damage.corrupt or damage.undecodable or damage.faults or self._packets.faults
            return damage.frames == damage.packets and not unclear

        return wanted_packets(self._packets, self._stream, self._part, is_intact=is_intact)

    def _frames(self) -> Iterator[tuple[av.VideoFrame | Undecoded, bool]]:
        """Yield what can be decoded, and whether it is marked as damaged; record the damage."""
        damage, marked = self.damage, set[int | None]()
        recent: deque[int | None] = deque(maxlen=4)  # stamps of the last corrupted frames
        last, is_refused = None, False
        context = self._stream.codec_context
        answers = Answers(self._container.format.name, context.name, context.height)
        for packet, is_marked in self._wanted():
            if isinstance(packet, Undecoded):
                damage.packets += 1
                damage.add_frame(is_corrupt=False, is_key=packet.is_key)
                yield packet, False
                continue
            frames, errors = self._decode(packet)
            if packet.size:
                last, is_refused = packet.pts, frames is None
                damage.packets += 1
            if (is_marked and not damage.is_complete) or (errors and frames is not None):
                marked.add(packet.pts)
            damage.faults += errors[:1]
            answers.add(
                packet,
                frames=None if frames is None else len(frames),
                has_errors=bool(errors),
                index=damage.frames,
                may_fail=not self._is_decodable(packet),
            )
            for frame in frames or ():
                # Packets of raw streams have no stamps: the next frame is marked.
                is_corrupt = frame.is_corrupt or bool(marked & {frame.pts, None})
                marked -= {frame.pts, None}
                damage.add_frame(is_corrupt=is_corrupt, is_key=bool(frame.key_frame))
                if is_corrupt:
                    recent.append(frame.pts)
                yield frame, is_corrupt
        damage.undecodable += len(marked)  # packets that gave no frame
        ends_corrupt = damage.corrupt[-1:] == [damage.frames - 1]
        damage.cut_tail = is_refused or last in recent or ends_corrupt
        damage.unreadable = self._packets.faults
        damage.in_a_row = answers.longest, answers.place
        damage.ended = self._packets.error or self._find_end(answers.fault)

    def _find_end(self, fault: str) -> str:
        """Return why frames must be missing at the end, or an empty string."""
        kind, succession = self._container.format.name, self._packets.succession()
        if succession and self._is_chosen:
            self.damage.remarks.append(succession)
            succession = ""
        change = find_change(self.path, kind, self._stream.id) or succession or fault
        # The index of an MP4 file is better evidence than its boxes.
        if change or (self.damage.stated and "mov" in kind):
            return change
        return find_truncation(self.path, kind)

    def _decode(self, packet: AnyPacket) -> tuple[list[av.VideoFrame] | None, list[str]]:
        """Return the frames that a packet completes, None if it is refused, and logged errors."""
        counts = self._is_decodable(packet)
        self.damage.leading += packet.size > 0 and not counts
        try:
            with collect_errors(started=counts) as errors:
                return packet.decode(), errors
        except av.FFmpegError:
            is_lost = packet.size > 0 and counts and not self.damage.is_complete
            self.damage.undecodable += is_lost
            return None, []

    def _is_decodable(self, packet: AnyPacket) -> bool:
        """Return whether a packet must be decodable, which the start of a recording need not be.

        What comes before the first key frame, or is shown before it, is built on frames that may
        have been cut off.
        """
        if not self._is_started and packet.size and packet.is_keyframe:
            self._is_started, self._first_key = True, packet.pts
        if packet.pts is None or self._first_key is None:
            return self._is_started
        return packet.pts >= self._first_key


def _put_back(picture: AnyPicture, pictures: Generator[AnyPicture]) -> Generator[AnyPicture]:
    try:
        yield picture
        del picture
        yield from pictures
    finally:
        pictures.close()
