"""Run a batch: select the jobs, run them in parallel, write the journal, return a summary."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from flowstream.errors import FlowstreamError
from flowstream.escapes import escape_controls
from flowstream.extract.comparison import check_running_shards, settings_digest
from flowstream.extract.device_processes import make_tasks
from flowstream.extract.devices import on_device
from flowstream.extract.directory import HeldDirectory, hold_directory
from flowstream.extract.forecast import Estimate, estimate
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome, Summary, read_latest, relative_output
from flowstream.extract.meter import Meter
from flowstream.extract.options import RunOptions
from flowstream.extract.pools import POOLS
from flowstream.extract.pools.pool import Pool, PoolOptions
from flowstream.extract.resume import (
    Progress,
    discard_damaged,
    find_progress,
    set_aside,
)
from flowstream.extract.schedule import select_jobs
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.tickets import TicketQueue, remove_parts
from flowstream.extract.trial import Forecast, check_disk, forecast, free_bytes
from flowstream.flow import FlowMethod
from flowstream.interrupts import stop_once
from flowstream.plugins import provenance

# A trial takes some ten seconds: worth it for batches that take minutes.
_LONG_BATCH_PAIRS = 20_000


def extract(
    jobs: Sequence[Job],
    settings: ExtractSettings,
    out: str | Path,
    *,
    options: RunOptions | None = None,
) -> Summary:
    """Compute the stack of each job, several in parallel; complete stacks are skipped.

    Parameters
    ----------
    jobs : sequence of Job
        From `plan`.
    settings : ExtractSettings
    out : path
        Directory of the journal `extract.jsonl`, to which each outcome is appended.
    options : RunOptions, optional

    Returns
    -------
    Summary
        A video that failed is in `failed`; it does not stop the others.

    Raises
    ------
    ExtractionError
        If a stack was made with other settings, another extraction writes into `out`, or the disk
        is full or too small.
    ParameterError
        If a device cannot be used.
    """
    start = time.perf_counter()
    options = options or RunOptions()
    for device in set(options.devices):
        on_device(settings.method, device)
    out = Path(out)
    with stop_once(), hold_directory(out, options.shard) as held:
        batch = _Batch(jobs, settings, out, options=options, held=held)
        outcomes = batch.run()
    return Summary.of(outcomes, seconds=time.perf_counter() - start)


def with_threads(method: FlowMethod, threads: int) -> FlowMethod:
    """Return the method with `threads`, if it has this field and it is at its default."""
    for field in dataclasses.fields(method):  # type: ignore[arg-type]
        if field.name == "threads" and getattr(method, "threads", None) == field.default:
            return dataclasses.replace(method, threads=threads)  # type: ignore[type-var]
    return method


class _Batch:
    """The jobs of one run."""

    def __init__(
        self,
        jobs: Sequence[Job],
        settings: ExtractSettings,
        out: Path,
        *,
        options: RunOptions,
        held: HeldDirectory,
    ) -> None:
        self.settings = settings
        self.out = out
        self.options = options
        self.held = held
        if options.shard is not None:
            held.journal.append_settings(provenance(settings))
            check_running_shards(settings, out, held.journal.path)
        self.latest = read_latest(out)
        self.jobs = select_jobs(jobs, settings, options)
        self.digest = settings_digest(settings)

    def run(self) -> list[Outcome]:
        """Run the incomplete jobs; return the outcomes of all in the order of the jobs."""
        options, journal = self.options, self.held.journal
        remove_parts(self.jobs)
        progress = find_progress(
            self.jobs, self.settings, self.out, latest=self.latest, options=options
        )
        journal.append(progress.unrecorded)
        outcomes = dict(progress.skipped)
        with ExitStack() as stack:
            todo = [self.jobs[index] for index in progress.todo]
            workers = max(1, options.num_workers(self.settings.method))
            pool = None
            if options.backend == "processes" and len(todo) >= workers:
                # They import and load what they need while the videos are examined here.
                pool = stack.enter_context(self._pool(workers, threads=1, stack=stack))
            if todo:
                expected = estimate(todo, self.settings)
                self._prepare(progress, expected)
                for slot, outcome in self._outcomes(todo, expected, pool=pool):
                    outcome = self._record(outcome)
                    journal.append([outcome])
                    outcomes[progress.todo[slot]] = outcome
        return [outcomes[index] for index in sorted(outcomes)]

    def _prepare(self, progress: Progress, expected: Estimate) -> None:
        """Check the disk, and set damaged stacks aside."""
        jobs = [self.jobs[index] for index in progress.todo]
        used = min(len(jobs), self.options.num_workers(self.settings.method))
        line = f"To extract: {expected}; {used} in parallel"
        reserve = self.options.reserve
        uncertain = expected.bytes + reserve > free_bytes(self.out)
        if uncertain or sum(expected.pairs) >= _LONG_BATCH_PAIRS:
            found = self._forecast(jobs, expected)
            if found is not None:
                check_disk(found.bytes, self.out, reserve=reserve, force=self.options.force)
                line = f"To extract: {found}"
        if self.options.progress:
            sys.stderr.write(f"{line}.\n")
            if others := self._count_other_settings():
                sys.stderr.write(
                    f"Warning: {self.out} has {others:,} stacks of other settings, and a network "
                    "needs stacks of one; use another directory unless this is wanted.\n"
                )
            for reason in progress.redone.values():
                sys.stderr.write(escape_controls(f"Computed again: {reason}") + "\n")
        for index in progress.redone:
            set_aside(self.jobs[index].output)

    def _count_other_settings(self) -> int:
        """Count the stacks of other videos that were made with other settings."""
        others = {
            output
            for output, record in self.latest.items()
            if record["status"] != "failed" and record.get("settings", self.digest) != self.digest
        }
        if not others:
            return 0
        return len(others - {relative_output(job.output, self.out) for job in self.jobs})

    def _forecast(self, jobs: Sequence[Job], expected: Estimate) -> Forecast | None:
        """Return a forecast; None if no trial succeeds, whose reason the run will show."""
        try:
            return forecast(jobs, self.settings, expected, options=self.options)
        except FlowstreamError:
            return None

    def _record(self, outcome: Outcome) -> Outcome:
        """Add to an outcome the values that only the run knows."""
        before = self.latest.get(relative_output(outcome.output, self.out))
        failed = before is not None and before["status"] == "failed"
        attempt = 1 + (before.get("attempt", 1) if before is not None and failed else 0)
        if outcome.status == "done":
            discard_damaged(Path(outcome.output))
        return dataclasses.replace(outcome, attempt=attempt, settings=self.digest)

    def _outcomes(
        self, jobs: Sequence[Job], expected: Estimate, *, pool: Pool | None
    ) -> Iterator[tuple[int, Outcome]]:
        """Yield the index and outcome of each job; no unfinished file is left behind."""
        workers = max(1, self.options.num_workers(self.settings.method))
        # One video on many cores is split into segments, so workers are not limited by the videos
        # but by the tickets.
        queue = TicketQueue(jobs, expected.pairs, self.settings, workers=workers)
        used = min(workers, len(queue))
        with ExitStack() as stack:
            stack.callback(queue.remove_unfinished)
            meter = stack.enter_context(Meter(expected.pairs, shown=self.options.progress))
            if pool is None:
                pool = self._pool(used, threads=max(1, workers // used), stack=stack)
                stack.enter_context(pool)
            else:
                stack.callback(pool.close)  # before unfinished files are removed
            pool.report = meter.report
            for slot, outcome in queue.run(pool):
                meter.add(slot, outcome)
                yield slot, outcome

    def _pool(self, workers: int, *, threads: int, stack: ExitStack) -> Pool:
        """Return a pool that is not started, whose progress nobody sees yet.

        The processes of devices that workers share are started, and end with `stack`.
        """
        options, inherited = self.options, [self.held.descriptor]
        settings = dataclasses.replace(
            self.settings, method=with_threads(self.settings.method, threads)
        )
        tasks = stack.enter_context(make_tasks(settings, options, inherited=inherited))
        pool_options = PoolOptions(
            workers=workers,
            threads=threads,
            scheduler=options.scheduler,
            timeout=options.timeout,
            inherited=inherited,
        )
        return POOLS[options.backend](tasks, pool_options, lambda ticket, count: None)
