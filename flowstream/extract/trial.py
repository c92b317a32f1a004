"""Cost of a batch, measured on the first frames of some of its videos."""

from __future__ import annotations

import heapq
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flowstream.errors import ExtractionError, FlowstreamError
from flowstream.extract.device_processes import make_tasks
from flowstream.extract.devices import on_device
from flowstream.extract.forecast import Estimate, readable_bytes, readable_seconds
from flowstream.extract.jobs import Job
from flowstream.extract.journal import Outcome
from flowstream.extract.options import RunOptions
from flowstream.extract.pools import POOLS
from flowstream.extract.pools.pool import Pool, PoolOptions
from flowstream.extract.schedule import count_segments
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.work import Result, Ticket

_VIDEOS = 12
_FRAMES = (9, 65)
_SECONDS = 8.0
# What takes longer to start is compiled code, which the next run loads from a cache.
_LONGEST_START = 5.0


@dataclass(frozen=True)
class Forecast:
    """Time and disk space that a batch will take.

    Parameters
    ----------
    videos, pairs : int
    workers : int
    seconds : float
        Duration with so many workers.
    bytes : float
        Size of all stacks.
    trial_videos, trial_pairs : int
        Description of the trial extraction.
    """

    videos: int
    pairs: int
    workers: int
    seconds: float
    bytes: float
    trial_videos: int
    trial_pairs: int

    def __str__(self) -> str:
        return (
            f"{self.videos:,} videos, about {self.pairs:,} frame pairs: "
            f"about {readable_seconds(self.seconds)} with {self.workers} in parallel, "
            f"{readable_bytes(self.bytes)}"
        )


def forecast(
    jobs: Sequence[Job], settings: ExtractSettings, expected: Estimate, *, options: RunOptions
) -> Forecast:
    """Extract the first frames of some videos and extrapolate to all.

    The trial uses as many workers as the run would, because they share memory and caches. Time and
    bytes have a part per video and a part per pair and pixel.

    Raises
    ------
    FlowstreamError
        If none of the videos can be extracted.
    """
    workers = options.num_workers(settings.method)
    if not jobs:
        return Forecast(
            videos=0,
            pairs=0,
            workers=workers,
            seconds=0.0,
            bytes=0.0,
            trial_videos=0,
            trial_pairs=0,
        )
    sample = _sample(jobs, expected)
    if not sample:
        raise ExtractionError("no video of the sample can be read; see extract.jsonl after a run")
    with tempfile.TemporaryDirectory(prefix="flowstream-") as directory:
        for device in options.devices:
            on_device(settings.method, device)
        used = min(workers, len(sample))
        kind = POOLS["sequential" if options.backend == "sequential" else "processes"]
        start = time.perf_counter()
        with (
            make_tasks(settings, options) as tasks,
            kind(tasks, PoolOptions(workers=used), lambda ticket, count: None) as pool,
        ):
            trial = _measure(
                pool, jobs, sample, expected=expected, start=start, directory=Path(directory)
            )
    return _extrapolate(trial, expected, workers=workers)


def check_disk(needed: float, directory: Path, *, reserve: int = 0, force: bool) -> None:
    """Raise if a batch will not fit on the disk of its output directory beside `reserve` bytes.

    Raises
    ------
    ExtractionError
        Unless `force` is True.
    """
    free = free_bytes(directory)
    if needed + reserve > free and not force:
        later = f", and later files {readable_bytes(reserve)}" if reserve else ""
        raise ExtractionError(
            f"{directory}: the stacks will take about {readable_bytes(needed)}{later}; the disk "
            f"has {readable_bytes(free)} free. Use another "
            "directory, or start anyway: flowstream extract --force"
        )


def free_bytes(directory: Path) -> int:
    """Return the free space on the disk of a directory that may not exist yet."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return shutil.disk_usage(directory).free


def _sample(jobs: Sequence[Job], expected: Estimate) -> list[int]:
    """Return the indices of videos spread evenly over the batch."""
    bad = {id(job) for job, _ in expected.unreadable}
    good = [k for k, job in enumerate(jobs) if expected.pairs[k] and id(job) not in bad]
    stride = max(1, len(good) // _VIDEOS)
    return good[stride // 2 :: stride][:_VIDEOS]


@dataclass(frozen=True)
class _Trial:
    """Outcomes of the first two frames and of more frames of some videos; seconds to start."""

    short: Sequence[tuple[int, Outcome]]
    longer: Sequence[tuple[int, Outcome]]
    start: float


def _measure(
    pool: Pool,
    jobs: Sequence[Job],
    sample: Sequence[int],
    *,
    expected: Estimate,
    start: float,
    directory: Path,
) -> _Trial:
    def run(frames: int) -> list[tuple[int, Outcome]]:
        for k in sample:
            job = replace(jobs[k], output=directory / f"{k}-{frames}.h5")
            pool.submit(Ticket(job, k, most=frames))
        replies = [pool.get() for _ in sample]
        results = [(reply.ticket.slot, reply.value) for reply in replies]
        done = [(k, one.outcome) for k, one in results if isinstance(one, Result)]
        return [(k, outcome) for k, outcome in done if outcome.status == "done"]

    run(2)  # imports, compiles and fills caches
    started = time.perf_counter()
    short = run(2)
    if not short:
        raise FlowstreamError("the trial could extract none of the sampled videos")
    started -= time.perf_counter() - started  # the first round takes as long as the second
    first = run(_FRAMES[0])
    pair_seconds = max(1e-4, (_mean(first) - _mean(short)) / (_FRAMES[0] - 2))
    budget = round(_SECONDS * pool.options.workers / (pair_seconds * len(sample)))
    frames = max(_FRAMES[0], min(_FRAMES[1], budget))
    longer = run(frames) if frames > _FRAMES[0] else first
    return _Trial(short, longer, min(_LONGEST_START, max(0.0, started - start)))


def _mean(outcomes: Sequence[tuple[int, Outcome]]) -> float:
    return sum(outcome.seconds for _, outcome in outcomes) / max(1, len(outcomes))


def _extrapolate(trial: _Trial, expected: Estimate, *, workers: int) -> Forecast:
    """Solve for the cost per video and per pair and pixel; add up over all videos."""
    short, longer = trial.short, trial.longer

    def work(outcomes: Sequence[tuple[int, Outcome]]) -> float:
        pixels = [outcome.pairs * expected.pixels[k] for k, outcome in outcomes]
        return sum(pixels) / max(1, len(outcomes))

    every = [pairs * size for pairs, size in zip(expected.pairs, expected.pixels, strict=True)]
    extra_work = max(1.0, work(longer) - work(short))

    def costs(long_cost: float, short_cost: float) -> list[float]:
        per_work = max(0.0, (long_cost - short_cost) / extra_work)
        per_video = max(0.0, short_cost - per_work * work(short))
        return [per_video + per_work * one for one in every]

    def size(outcomes: Sequence[tuple[int, Outcome]]) -> float:
        return sum(outcome.bytes for _, outcome in outcomes) / max(1, len(outcomes))

    seconds = costs(_mean(longer), _mean(short))
    return Forecast(
        videos=len(every),
        pairs=sum(expected.pairs),
        workers=workers,
        seconds=trial.start + _duration(seconds, expected.pairs, workers=workers),
        bytes=sum(costs(size(longer), size(short))),
        trial_videos=len(longer),
        trial_pairs=sum(outcome.pairs for _, outcome in longer),
    )


def _duration(seconds: Sequence[float], pairs: Sequence[int], *, workers: int) -> float:
    """Return when the last worker stops, if each takes the longest ticket that is left."""
    tickets: list[float] = []
    for cost, count in zip(seconds, count_segments(pairs, workers=workers), strict=True):
        tickets += [cost / count] * count
    ends = [0.0] * workers
    for cost in sorted(tickets, reverse=True):
        heapq.heapreplace(ends, ends[0] + cost)
    return max(ends)
