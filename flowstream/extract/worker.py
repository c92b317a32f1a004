"""Extraction of one video: decode, estimate, encode and write a batch of pairs at a time.

Memory holds one batch, whatever the length of the video.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain, islice

import cv2
import numpy as np

from flowstream.errors import FlowstreamError, VideoError, causes
from flowstream.extract.directory import make_directory
from flowstream.extract.estimates import estimate_windows
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome
from flowstream.extract.remote_flow import DeviceLostError, RemoteFlow, connect_to
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.sources import source_state
from flowstream.extract.work import Report, Result, Ticket
from flowstream.store import Header, StackWriter, create_stack, encode_jpeg
from flowstream.store.joining import join_stacks
from flowstream.store.losses import LossCounts
from flowstream.types import Images
from flowstream.video import Frame, VideoReader, open_video

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def attempt(
    ticket: Ticket,
    settings: ExtractSettings,
    *,
    report: Report | None = None,
    address: str | None = None,
) -> Result:
    """Run a ticket and return its result; `report` is called with the pairs so far."""
    start = time.perf_counter()
    job = ticket.job
    try:
        if job.problem:
            raise VideoError(f"{job.source}: {job.problem}")
        before = source_state(job.source)
        if ticket.segments:
            outcome, losses = _join(ticket, settings), None
        else:
            with connect_to(address, settings) as remote:
                outcome, losses = extract_video(
                    job, settings, report=report, most=ticket.most, remote=remote
                )
        if source_state(job.source) != before:
            job.output.unlink(missing_ok=True)
            raise VideoError(f"{job.source}: the video changed while it was read")
    # Whatever one video provokes, in whatever library, must not stop the others.
    except Exception as error:
        text = one_line(error)
        if ticket.segment is None:
            # Errors of reading name the video only.
            text = re.sub(f"^{re.escape(str(job.source))}(?=: )", lambda _: job.title, text)
        outcome = Outcome(str(job.source), str(job.output), "failed", text)
        lost = str(error) if isinstance(error, DeviceLostError) else ""
        return Result(_timed(outcome, start), disk_error=_disk_error(error), device_error=lost)
    return Result(_timed(outcome, start), losses)


def extract_video(
    job: Job,
    settings: ExtractSettings,
    *,
    report: Report | None = None,
    most: int | None = None,
    remote: RemoteFlow | None = None,
) -> tuple[Outcome, LossCounts]:
    """Write the stack of one video, or of its first `most` frames.

    Flow is estimated by `remote` if it is given, else by the method.

    Raises
    ------
    FlowstreamError
        If the video cannot be decoded, estimated, encoded or written; no file is left then.
    """
    colour = settings.method.colour
    reading = open_video(
        job.source,
        settings.sampling,
        luma=not colour,
        rgb=colour or settings.rgb,
        allow_truncated=settings.allow_truncated,
        max_corrupt=settings.max_corrupt,
        part=job.part,
    )
    with reading as video:
        frames = iter(video)
        first = next(frames)  # raises if there is none
        header = _header(job, settings, video, size=_image(first, colour).shape[:2])
        make_directory(job.output.parent)
        with create_stack(job.output, header, outputs=settings.stored_outputs) as writer:
            windows = _windows(islice(chain([first], frames), most), writer, settings)
            for found in estimate_windows(windows, settings, remote):
                found.add_to(writer)
                if report is not None:
                    report(writer.num_fields)
            count = writer.num_frames
            if count < 2:
                raise VideoError(
                    f"{job.source}: 1 frame after sampling, expected at least 2: "
                    "flow goes from one frame to the next"
                )
            if video.corrupt:
                writer.add_values("corrupt", video.corrupt)
    outcome = _outcome(job, writer.header, frames=count)
    return replace(outcome, corrupt=len(video.corrupt), notes=video.notes), writer.losses.counts


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line, with its class if it is not flowstream's."""
    text = " ".join(str(error).split())
    if isinstance(error, FlowstreamError):
        return text
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return " ".join(f"{place}{error.strerror}".split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _join(ticket: Ticket, settings: ExtractSettings) -> Outcome:
    """Join the stacks of segments, and remove them."""
    job = ticket.job
    header, frames, corrupt = join_stacks(
        ticket.segments, job.output, losses=ticket.losses, batch=settings.method.batch
    )
    for path in ticket.segments:
        path.unlink()
    return replace(_outcome(job, header, frames=frames), corrupt=corrupt)


def _header(
    job: Job, settings: ExtractSettings, video: VideoReader, *, size: tuple[int, int]
) -> Header:
    info = video.info
    source_bytes, source_modified = source_state(job.source)
    return Header(
        size=size,
        method=settings.method,  # type: ignore[arg-type]
        sampling=settings.sampling,  # type: ignore[arg-type]
        codec=settings.codec,
        source=job.name,
        source_size=(info.rows, info.columns),
        source_bytes=source_bytes,
        source_modified=source_modified,
        fps=info.fps,
        container_fps=info.container_fps,
        sample_aspect=info.sample_aspect,
        stream=info.stream,
        compression=settings.compression,
        jpeg_quality=settings.jpeg_quality if settings.rgb else 0,
        stabiliser=settings.stabilise,  # type: ignore[arg-type]
        depth_range=video.depth_range or None,
    )


def _outcome(job: Job, header: Header, *, frames: int) -> Outcome:
    status = job.output.stat()
    return Outcome(
        str(job.source),
        str(job.output),
        "done",
        frames=frames,
        pairs=frames - 1,
        bytes=status.st_size,
        clipped=header.clipped,
        below_step=header.below_step,
        modified=status.st_mtime_ns,
        source_bytes=header.source_bytes,
        source_modified=header.source_modified,
    )


def _timed(outcome: Outcome, start: float) -> Outcome:
    return replace(outcome, seconds=round(time.perf_counter() - start, 3))


def _disk_error(error: BaseException) -> str:
    """Return the reason if an error means that nothing more can be written."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in _DISK_ERRORS:
            return str(cause.strerror)
    return ""


def _windows(
    frames: Iterable[Frame], writer: StackWriter, settings: ExtractSettings
) -> Iterator[Images]:
    """Yield the frames of one batch of pairs after another; neighbours share one frame."""
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
def one_opencv_thread() -> Iterator[None]:
    """Hold OpenCV to one thread, because videos run in parallel."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        with suppress(cv2.error):
            cv2.setNumThreads(threads)
