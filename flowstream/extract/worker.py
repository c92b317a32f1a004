"""One video to one stack file: decoded, estimated, encoded and written a batch of pairs at a time.

Memory holds one batch, whatever the length of the video.
"""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np

from flowstream.errors import FlowstreamError, VideoError
from flowstream.extract.devices import Desk, on_device
from flowstream.extract.estimates import estimate_windows
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome
from flowstream.extract.lock import working_for
from flowstream.extract.settings import ExtractSettings
from flowstream.plugins import provenance
from flowstream.store import Header, StackWriter, create_stack, encode_jpeg
from flowstream.types import Images, Size
from flowstream.video import Frame, VideoInfo, probe, read_frames

COUNTER = struct.Struct("<q")
"""One job's pairs so far, in the file that `Ticket.board` names."""


@dataclass(frozen=True)
class Ticket:
    """One job as a worker process gets it.

    Parameters
    ----------
    job : Job
    settings : ExtractSettings
    slot : int
        Place of the job's counter in the board.
    board : Path
        File of counters; where it cannot be reached (another machine) progress goes by videos.
    journal : Path
        Whose lock is held while writing.
    run : int or None
        Process to end with.
    desk : Desk or None
        Where to get a device to compute on; None: the method's own.
    """

    job: Job
    settings: ExtractSettings
    slot: int
    board: Path
    journal: Path
    run: int | None
    desk: Desk | None = None


def work(ticket: Ticket) -> tuple[int, Outcome]:
    """Extract one video in a worker process; gives the ticket's slot, and what became of it."""
    with (
        _uninterrupted(ticket.run),
        working_for(ticket.run, ticket.journal),
        _one_opencv_thread(),
        _bound(ticket) as settings,
    ):
        return ticket.slot, attempt(ticket.job, settings, report=_counter(ticket))


@contextmanager
def _bound(ticket: Ticket) -> Iterator[ExtractSettings]:
    """The settings, with the method on a device that this worker has while it works."""
    if ticket.desk is None:
        yield ticket.settings
        return
    with ticket.desk.seat() as device:
        yield replace(ticket.settings, method=on_device(ticket.settings.method, device))


def _counter(ticket: Ticket) -> Callable[[int], None]:
    """A function that puts a number of pairs on the ticket's board."""

    def report(pairs: int) -> None:
        with suppress(OSError), ticket.board.open("r+b", buffering=0) as board:
            board.seek(ticket.slot * COUNTER.size)
            board.write(COUNTER.pack(pairs))

    return report


def attempt(
    job: Job, settings: ExtractSettings, *, report: Callable[[int], None] | None = None
) -> Outcome:
    """Extract one video and say what became of it; `report` is told the pairs so far."""
    start = time.perf_counter()
    source, output = str(job.source), str(job.output)
    try:
        frames, clipped = extract_video(job, settings, report=report)
    # Whatever one video provokes, in whatever library, must not stop the others.
    except Exception as error:
        return Outcome(
            source, output, "failed", one_line(error), seconds=time.perf_counter() - start
        )
    return Outcome(
        source,
        output,
        "done",
        frames=frames,
        pairs=frames - 1,
        seconds=round(time.perf_counter() - start, 3),
        bytes=job.output.stat().st_size,
        clipped=clipped,
    )


def extract_video(
    job: Job,
    settings: ExtractSettings,
    *,
    report: Callable[[int], None] | None = None,
    most: int | None = None,
) -> tuple[int, float]:
    """Write the stack of one video; gives its number of frames and the fraction clipped.

    With `most`, only of its first so many frames.

    Raises
    ------
    FlowstreamError
        What the decoder, the method, the codec or the store raise; no file is left then.
    """
    info = probe(job.source, stream=settings.sampling.stream)
    colour = settings.method.colour
    frames = read_frames(
        job.source,
        settings.sampling,
        luma=not colour,
        rgb=colour or settings.rgb,
        max_corrupt=settings.max_corrupt,
        allow_truncated=settings.allow_truncated,
    )
    first = next(frames)  # a video without any raises
    header = _header(job, settings, info=info, size=_image(first, colour).shape[:2])
    with create_stack(job.output, header, outputs=settings.outputs) as writer:
        taken = islice(chain([first], frames), most)
        count = _write(taken, writer, settings=settings, report=report)
        if count < 2:
            raise VideoError(
                f"{job.source}: 1 frame after sampling, expected at least 2: "
                "flow goes from one frame to the next"
            )
    return count, writer.header.clipped


def _header(job: Job, settings: ExtractSettings, *, info: VideoInfo, size: Size) -> Header:
    """Return what is known of a stack before its flow is."""
    return Header(
        size=size,
        method=provenance(settings.method),
        sampling=provenance(settings.sampling),
        codec=settings.codec,
        source=job.name,
        source_size=(info.rows, info.columns),
        source_bytes=source_bytes(job.source),
        source_modified=job.source.stat().st_mtime_ns,
        fps=info.fps,
        compression=settings.compression,
        jpeg_quality=settings.jpeg_quality if settings.rgb else 0,
        stabiliser=None if settings.stabilise is None else provenance(settings.stabilise),
    )


def source_bytes(source: Path) -> int:
    """The size of a video file, or of the files of a folder of images."""
    if not source.is_dir():
        return source.stat().st_size
    return sum(entry.stat().st_size for entry in os.scandir(source) if entry.is_file())


def one_line(error: BaseException) -> str:
    """An error's text on one line; the kind too, where flowstream did not raise it on purpose."""
    text = " ".join(str(error).split())
    if isinstance(error, FlowstreamError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _write(
    frames: Iterable[Frame],
    writer: StackWriter,
    *,
    settings: ExtractSettings,
    report: Callable[[int], None] | None,
) -> int:
    """Add all frames, and the fields between them, to a stack; gives the number of frames."""
    for found in estimate_windows(_windows(frames, writer, settings), settings):
        found.add_to(writer)
        if report is not None:
            report(writer.num_fields)
    return writer.num_frames


def _windows(
    frames: Iterable[Frame], writer: StackWriter, settings: ExtractSettings
) -> Iterator[Images]:
    """Runs of frames for one batch of pairs each, the last of one the first of the next."""
    window: list[Images] = []
    for frame in frames:
        writer.add_frame(frame.index, frame.seconds, _jpeg(frame, settings))
        window.append(_image(frame, settings.method.colour))
        if len(window) > settings.method.batch:
            yield np.stack(window)
            window = window[-1:]
    if len(window) > 1:
        yield np.stack(window)


def _jpeg(frame: Frame, settings: ExtractSettings) -> bytes | None:
    if not settings.rgb or frame.rgb is None:
        return None
    return encode_jpeg(frame.rgb, quality=settings.jpeg_quality)


def _image(frame: Frame, colour: bool) -> Images:
    image = frame.rgb if colour else frame.luma
    assert image is not None, "read_frames gives the kinds that it is asked for"
    return image


@contextmanager
def _uninterrupted(run: int | None) -> Iterator[None]:
    """Leave Ctrl-C, which a terminal sends to all processes, to the run: it ends its workers."""
    if run is None or run == os.getpid():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Hold OpenCV to one thread: parallelism is over videos."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
