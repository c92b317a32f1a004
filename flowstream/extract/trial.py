"""Cost of a batch, measured on the first frames of some of its videos."""

from __future__ import annotations

import shutil
import tempfile
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
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.work import Result, Ticket

_VIDEOS = 12
_FRAMES = (9, 65)
_SECONDS = 8.0


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
    sample = _sample(jobs, expected)
    if not sample:
        raise ExtractionError("no video of the sample can be read; see extract.jsonl after a run")
    with tempfile.TemporaryDirectory(prefix="flowstream-") as directory:
        for device in options.devices:
            on_device(settings.method, device)
        used = min(workers, len(sample))
        kind = POOLS["sequential" if options.backend == "sequential" else "processes"]
        with (
            make_tasks(settings, options) as tasks,
            kind(tasks, PoolOptions(workers=used), lambda ticket, count: None) as pool,
        ):
            return _measure(
                pool, jobs, sample, expected=expected, workers=workers, directory=Path(directory)
            )


def check_disk(needed: float, directory: Path, *, force: bool) -> None:
    """Raise if a batch will not fit on the disk of its output directory.

    Raises
    ------
    ExtractionError
        Unless `force` is True.
    """
    free = free_bytes(directory)
    if needed > free and not force:
        raise ExtractionError(
            f"{directory}: the stacks will take about {readable_bytes(needed)}; the disk has "
            f"{readable_bytes(free)} free. Use another --out, or --force to start anyway"
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


def _measure(
    pool: Pool,
    jobs: Sequence[Job],
    sample: Sequence[int],
    *,
    expected: Estimate,
    workers: int,
    directory: Path,
) -> Forecast:
    def run(frames: int) -> list[tuple[int, Outcome]]:
        for k in sample:
            job = replace(jobs[k], output=directory / f"{k}-{frames}.h5")
            pool.submit(Ticket(job, k, most=frames))
        replies = [pool.get() for _ in sample]
        results = [(reply.ticket.slot, reply.value) for reply in replies]
        done = [(k, one.outcome) for k, one in results if isinstance(one, Result)]
        return [(k, outcome) for k, outcome in done if outcome.status == "done"]

    run(2)  # imports, compiles and fills caches
    short = run(2)
    if not short:
        raise FlowstreamError("the trial could extract none of the sampled videos")
    first = run(_FRAMES[0])
    pair_seconds = max(1e-4, (_mean(first) - _mean(short)) / (_FRAMES[0] - 2))
    budget = round(_SECONDS * min(workers, len(sample)) / (pair_seconds * len(sample)))
    frames = max(_FRAMES[0], min(_FRAMES[1], budget))
    longer = run(frames) if frames > _FRAMES[0] else first
    return _extrapolate(short, longer, expected, workers=workers, count=len(jobs))


def _mean(outcomes: Sequence[tuple[int, Outcome]]) -> float:
    return sum(outcome.seconds for _, outcome in outcomes) / max(1, len(outcomes))


def _extrapolate(
    short: Sequence[tuple[int, Outcome]],
    longer: Sequence[tuple[int, Outcome]],
    expected: Estimate,
    *,
    workers: int,
    count: int,
) -> Forecast:
    """Solve for the cost per video and per pair and pixel; add up over all videos."""

    def work(outcomes: Sequence[tuple[int, Outcome]]) -> float:
        pixels = [outcome.pairs * expected.pixels[k] for k, outcome in outcomes]
        return sum(pixels) / max(1, len(outcomes))

    total = sum(
        pairs * pixels for pairs, pixels in zip(expected.pairs, expected.pixels, strict=True)
    )
    extra_work = max(1.0, work(longer) - work(short))

    def scale(long_cost: float, short_cost: float) -> float:
        per_work = max(0.0, (long_cost - short_cost) / extra_work)
        per_video = max(0.0, short_cost - per_work * work(short))
        return per_video * count + per_work * total

    def size(outcomes: Sequence[tuple[int, Outcome]]) -> float:
        return sum(outcome.bytes for _, outcome in outcomes) / max(1, len(outcomes))

    return Forecast(
        videos=count,
        pairs=sum(expected.pairs),
        workers=workers,
        seconds=scale(_mean(longer), _mean(short)) / workers,
        bytes=scale(size(longer), size(short)),
        trial_videos=len(longer),
        trial_pairs=sum(outcome.pairs for _, outcome in longer),
    )
