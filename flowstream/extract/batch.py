"""A whole batch: what is to do, done in parallel, written down, summed up."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import joblib

from flowstream.errors import ExtractionError, ParameterError, did_you_mean
from flowstream.extract.backends import BACKENDS, opened, run_parallel
from flowstream.extract.devices import make_desk, on_device
from flowstream.extract.jobs import Job
from flowstream.extract.journal import JOURNAL_NAME, Journal, Outcome, Summary
from flowstream.extract.lock import running_in, wait_for_workers
from flowstream.extract.meter import Board, Meter, open_board
from flowstream.extract.resume import sift
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.worker import Ticket, one_line, source_bytes, work
from flowstream.flow import FlowMethod


def extract(
    jobs: Sequence[Job],
    settings: ExtractSettings,
    out: str | Path,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    limit: int | None = None,
    progress: bool = False,
    backend: str = "loky",
    scheduler: str | None = None,
    devices: Sequence[str] = (),
) -> Summary:
    """Make the stack of each job, several at once; what is made already is skipped.

    Parameters
    ----------
    jobs : sequence of Job
        From `plan`.
    settings : ExtractSettings
    out : path
        Folder of the journal `extract.jsonl`, to which each outcome is appended.
    workers : int, optional
        Videos at once. Default: as many as this process may use cores, and one where the method
        computes on a device of its own.
    overwrite : bool
        Make stacks anew that are there already.
    limit : int, optional
        Take only the first so many jobs.
    progress : bool
        Show an estimate, then a bar, on stderr.
    backend : str
        One of `flowstream.extract.backends.BACKENDS`.
    scheduler : str, optional
        Address of a running dask or ray cluster; one is started on this machine otherwise.
    devices : sequence of str
        Where the method computes, in place of its own device: a worker on each, or where `workers`
        says how many, these one device after another.

    Returns
    -------
    Summary
        A video that failed is in `failed`; it stopped nothing else.

    Raises
    ------
    ExtractionError
        Before any work: a stack there was made with other settings, or another extraction is
        writing into `out`.
    ParameterError
        If `workers` or `limit` is below 1, the backend unknown, or a device cannot be used.
    """
    start = time.perf_counter()
    workers = default_workers(settings.method, devices) if workers is None else workers
    _check(workers, limit, backend)
    _check_devices(devices, settings.method, backend)
    out = Path(out)
    _make_folder(out)
    with running_in(out):
        journal = Journal(out / JOURNAL_NAME)
        wait_for_workers(journal.path)
        chosen = jobs[:limit]
        _remove_parts(chosen)
        todo, outcomes = sift(chosen, settings, overwrite=overwrite)
        for outcome in outcomes:
            journal.append(outcome)
        batch = _Batch(
            todo, settings, journal.path, workers=workers, backend=backend, devices=devices
        )
        with closing(batch.run(progress=progress, scheduler=scheduler)) as results:
            for outcome in results:
                journal.append(outcome)
                outcomes.append(outcome)
    place = {str(job.output): index for index, job in enumerate(chosen)}
    outcomes.sort(key=lambda outcome: place[outcome.output])
    return Summary.of(outcomes, seconds=time.perf_counter() - start)


def default_workers(method: FlowMethod, devices: Sequence[str] = ()) -> int:
    """Videos at once: one a device, else one a usable core, or one for a method on a GPU."""
    if devices:
        return len(devices)
    return joblib.cpu_count() if method.device == "cpu" else 1


def with_threads(method: FlowMethod, threads: int) -> FlowMethod:
    """The method with its field `threads`, if it has one and it was left at its default, set."""
    for field in dataclasses.fields(method):  # type: ignore[arg-type]
        if field.name == "threads" and getattr(method, "threads", None) == field.default:
            return dataclasses.replace(method, threads=threads)  # type: ignore[type-var]
    return method


class _Batch:
    """The jobs of a run that are to do, and how."""

    def __init__(
        self,
        jobs: Sequence[Job],
        settings: ExtractSettings,
        journal: Path,
        *,
        workers: int,
        backend: str,
        devices: Sequence[str],
    ) -> None:
        # The longest first: at the end, all workers stop at about the same time.
        self.jobs = sorted(jobs, key=_size, reverse=True)
        self.workers = max(1, min(workers, len(jobs)))
        self.threads = max(1, workers // self.workers)
        method = with_threads(settings.method, self.threads)
        self.settings = dataclasses.replace(settings, method=method)
        self.journal = journal
        self.backend = backend
        self.devices = devices

    def run(self, *, progress: bool, scheduler: str | None) -> Generator[Outcome, None, None]:
        """Each job's outcome as soon as it is known; no unfinished file is left behind."""
        if not self.jobs:
            return
        finished: set[int] = set()
        try:
            with open_board(len(self.jobs)) as board, self._meter(board, shown=progress) as count:
                tickets = self._tickets(board)
                with opened(
                    self.backend, workers=self.workers, threads=self.threads, scheduler=scheduler
                ):
                    for slot, outcome in self._outcomes(tickets):
                        finished.add(slot)
                        count(slot, outcome)
                        yield outcome
        finally:
            # A cluster's workers may outlive the run and finish their file: leave it to them.
            if self.backend == "loky" and len(finished) < len(self.jobs):
                wait_for_workers(self.journal)
                _remove_parts(job for slot, job in enumerate(self.jobs) if slot not in finished)

    def _tickets(self, board: Board) -> list[Ticket]:
        shared: dict[str, Any] = {
            "board": board.path,
            "journal": self.journal,
            "run": os.getpid() if self.backend == "loky" else None,
            "desk": make_desk(board.path.parent, self.devices, workers=self.workers),
        }
        return [
            Ticket(job, self.settings, slot=slot, **shared) for slot, job in enumerate(self.jobs)
        ]

    @contextmanager
    def _meter(self, board: Board, *, shown: bool) -> Iterator[Callable[[int, Outcome], None]]:
        if not shown:
            yield lambda slot, outcome: None
            return
        with Meter(self.jobs, self.settings, board=board, workers=self.workers) as meter:
            yield meter.add

    def _outcomes(self, tickets: Sequence[Ticket]) -> Iterator[tuple[int, Outcome]]:
        """Each ticket's slot and outcome; a worker that dies takes only its own video with it.

        When one dies, the pool is gone and who did it is unknown: each video that was being
        extracted is tried once more, alone, and the rest goes on in a new pool.
        """
        remaining = {ticket.slot: ticket for ticket in tickets}
        while remaining:
            taken: dict[int, Ticket] = {}
            try:
                for slot, outcome in self._results(remaining.values(), taken, workers=self.workers):
                    del remaining[slot], taken[slot]
                    yield slot, outcome
            # What is wrong with a video comes as an outcome: this is the pool, of whatever kind.
            except Exception:
                if not taken:
                    raise
                for ticket in list(taken.values()):
                    yield self._alone(ticket)
                    del remaining[ticket.slot]

    def _results(
        self, tickets: Iterable[Ticket], taken: dict[int, Ticket], *, workers: int
    ) -> Iterator[tuple[int, Outcome]]:
        def handed_out() -> Iterator[Ticket]:
            for ticket in list(tickets):
                taken[ticket.slot] = ticket
                yield ticket

        return run_parallel(work, handed_out(), backend=self.backend, workers=workers)

    def _alone(self, ticket: Ticket) -> tuple[int, Outcome]:
        """Try a video while no other is extracted: what kills the worker now is this one."""
        start = time.perf_counter()
        try:
            [result] = self._results([ticket], {}, workers=1)
            return result
        except Exception as error:
            _remove_parts([ticket.job])
            codes = re.search(r"\{.*\}", str(error))
            reason = codes.group() if codes else one_line(error)
            text = (
                f"{ticket.job.source}: the worker died of this video, twice: {reason}; "
                "a crash while decoding or estimating, or out of memory"
            )
            seconds = round(time.perf_counter() - start, 3)
            job = ticket.job
            failed = Outcome(str(job.source), str(job.output), "failed", text, seconds=seconds)
            return ticket.slot, failed


def _remove_parts(jobs: Iterable[Job]) -> None:
    """Remove what a killed run or worker left unfinished."""
    for job in jobs:
        job.output.with_name(job.output.name + ".part").unlink(missing_ok=True)


def _size(job: Job) -> int:
    try:
        return source_bytes(job.source)
    except OSError:
        return 0  # fails when its turn comes


def _check(workers: int, limit: int | None, backend: str) -> None:
    if workers < 1:
        raise ParameterError(f"workers: got {workers}, expected at least 1")
    if limit is not None and limit < 1:
        raise ParameterError(f"limit: got {limit}, expected at least 1")
    if backend not in BACKENDS:
        known = ", ".join(BACKENDS)
        hint = did_you_mean(backend, BACKENDS)
        raise ParameterError(f"unknown backend {backend!r}; known: {known}.{hint}")


def _check_devices(devices: Sequence[str], method: FlowMethod, backend: str) -> None:
    if devices and backend in ("dask", "ray"):
        raise ParameterError(
            f"devices: got {', '.join(devices)} with backend {backend!r}; a cluster gives its "
            "workers their devices itself"
        )
    for device in set(devices):
        on_device(method, device)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExtractionError(f"{out}: cannot make this folder: {error.strerror}") from error
