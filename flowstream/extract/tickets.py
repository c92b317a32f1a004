"""The tickets of a run: submitted longest first, retried, and joined when all segments are done."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowstream.errors import ExtractionError
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome
from flowstream.extract.pools.pool import Pool, Reply
from flowstream.extract.schedule import count_segments, split_job
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.work import Result, Ticket

_PART = re.compile(r"(.*?\.h5)(?:\.\d+)?(?:\.part)+")
"""Unfinished stacks, and stacks of segments, finished or not."""


@dataclass
class _Split:
    """A video whose segments are being extracted."""

    segments: list[Ticket]
    results: dict[int, Result] = field(default_factory=dict)
    failed: bool = False


class TicketQueue:
    """Tickets of all jobs of a run.

    Parameters
    ----------
    jobs : sequence of Job
    lengths : sequence of int
        Expected frame pairs of each job.
    settings : ExtractSettings
    workers : int
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        lengths: Sequence[int],
        settings: ExtractSettings,
        *,
        workers: int,
    ) -> None:
        self.jobs = jobs
        self._splits: dict[int, _Split] = {}
        self._unfinished = set(range(len(jobs)))
        self._suspects: list[Ticket] = []
        counts = count_segments(lengths, workers=workers)
        tickets: list[tuple[int, int, Ticket]] = []
        for slot, job in enumerate(jobs):
            ticket = Ticket(job, slot)
            segments = split_job(ticket, lengths[slot], count=counts[slot], settings=settings)
            if segments:
                self._splits[slot] = _Split(segments)
            pieces = segments or [ticket]
            length = lengths[slot] // len(pieces)
            tickets += [(-length, slot, piece) for piece in pieces]
        # The longest first: at the end, all workers stop at about the same time.
        self._tickets = [ticket for *_, ticket in sorted(tickets, key=lambda item: item[:2])]

    def __len__(self) -> int:
        return len(self._tickets)

    def run(self, pool: Pool) -> Iterator[tuple[int, Outcome]]:
        """Run all tickets; yield the slot and outcome of each job.

        Raises
        ------
        ExtractionError
            If the disk cannot take more stacks.
        """
        for ticket in self._tickets:
            pool.submit(ticket)
        yield from self._collect(pool, len(self._tickets))
        # A worker may have died because several videos together needed too much memory.
        for ticket in self._suspects:
            pool.submit(ticket)
            yield from self._collect(pool, 1, last=True)

    def remove_unfinished(self) -> None:
        """Remove the files of jobs that were not finished."""
        remove_parts([self.jobs[slot] for slot in self._unfinished])

    def _collect(
        self, pool: Pool, pending: int, *, last: bool = False
    ) -> Iterator[tuple[int, Outcome]]:
        while pending:
            reply = pool.get()
            pending -= 1
            ticket: Ticket = reply.ticket
            if reply.failure:
                remove_parts([ticket.job])
            whole = ticket.segment is None and not ticket.segments
            if reply.may_retry and whole and not last:
                self._suspects.append(ticket)
                continue
            result = _failure(reply) if reply.failure else reply.value
            if result.device_error:
                raise ExtractionError(result.device_error)
            if result.disk_error:
                directory = ticket.job.output.parent
                raise ExtractionError(
                    f"{directory}: {result.disk_error}. Free some space and run the same command "
                    "again to continue"
                )
            following = self._follow(ticket, result)
            if isinstance(following, Ticket):
                pool.submit(following)
                pending += 1
            elif following is not None:
                self._unfinished.discard(ticket.slot)
                yield ticket.slot, following

    def _follow(self, ticket: Ticket, result: Result) -> Ticket | Outcome | None:
        """Return the next ticket of a job, its outcome, or None while segments are missing."""
        split = self._splits.get(ticket.slot)
        if split is None:
            return result.outcome
        job = self.jobs[ticket.slot]
        if ticket.segments:
            del self._splits[ticket.slot]
            if result.outcome.status == "done":
                seconds = sum(one.outcome.seconds for one in split.results.values())
                notes = [note for one in split.results.values() for note in one.outcome.notes]
                return replace(
                    result.outcome,
                    seconds=round(result.outcome.seconds + seconds, 3),
                    notes=tuple(dict.fromkeys(notes)),
                )
            return Ticket(job, ticket.slot)
        assert ticket.segment is not None
        split.results[ticket.segment] = result
        split.failed |= result.outcome.status == "failed"
        if len(split.results) < len(split.segments):
            return None
        if split.failed:
            # As a whole, the video fails or succeeds as it would have without segments.
            remove_parts([job])
            del self._splits[ticket.slot]
            return Ticket(job, ticket.slot)
        ordered = [split.results[index] for index in range(len(split.segments))]
        return Ticket(
            job,
            ticket.slot,
            segments=tuple(Path(one.outcome.output) for one in ordered),
            losses=tuple(one.losses for one in ordered if one.losses is not None),
        )


def remove_parts(jobs: Iterable[Job]) -> None:
    """Remove the unfinished files of jobs; errors are reported when the files are written.

    Each directory is read once, because a batch may have many thousand videos in one.
    """
    by_directory: dict[str, set[str]] = defaultdict(set)
    for job in jobs:
        directory, name = os.path.split(job.output)
        by_directory[directory].add(name)
    for directory, names in by_directory.items():
        with suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                match = _PART.fullmatch(entry.name)
                if match and match[1] in names:
                    with suppress(OSError):
                        os.unlink(entry.path)


def _failure(reply: Reply) -> Result:
    job = reply.ticket.job
    error = f"{job.title}: {reply.failure}"
    if reply.may_retry:
        error += "; it failed twice, the second time alone"
    return Result(Outcome(str(job.source), str(job.output), "failed", error))
