"""Order of the work: shards, longest videos first, long videos split into segments."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace

from flowstream.extract.directory import Shard
from flowstream.extract.forecast import estimate
from flowstream.extract.jobs import Job
from flowstream.extract.options import RunOptions
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.work import Ticket
from flowstream.video import Span

# Each segment starts a stack and, without an index of key frames, decodes from the first frame.
MIN_SEGMENT_PAIRS = 64
# A video that takes more than this share of the time of a batch is split; half of it if there are
# few videos for each worker, which cannot fill each other's gaps.
_SHARE = 0.5
_MANY = 4
# The shortest videos come last, and only they can make the workers stop together.
_LAST_SHARE = 0.05


def select_shard(jobs: Sequence[Job], lengths: Sequence[int], shard: Shard) -> list[int]:
    """Return the indices of the jobs in one of several shards, in the order of the jobs.

    Each job, the longest first, goes to the shard with the least work, so that all shards take
    about the same time. The selection depends on all jobs, complete or not, so it is the same in
    every run.
    """
    order = sorted(range(len(jobs)), key=lambda k: (-lengths[k], str(jobs[k].output)))
    # Shards beyond the number of jobs get none.
    shards = [(0, index) for index in range(min(shard.count, len(jobs)))]
    chosen = []
    for k in order:
        total, index = heapq.heappop(shards)
        if index == shard.index - 1:
            chosen.append(k)
        # A video takes some time even if it is short or its length is unknown.
        heapq.heappush(shards, (total + max(1, lengths[k]), index))
    return sorted(chosen)


def select_jobs(
    jobs: Sequence[Job], settings: ExtractSettings, options: RunOptions
) -> Sequence[Job]:
    """Return the jobs that the options of a run select: those of its shard, up to its limit."""
    if options.shard is not None:
        lengths = estimate(jobs, settings).pairs
        jobs = [jobs[k] for k in select_shard(jobs, lengths, options.shard)]
    return jobs[: options.limit]


def count_segments(lengths: Sequence[int], *, workers: int) -> list[int]:
    """Return the number of segments of each video that keep no worker busy while others are done.

    Long videos are split. So are the shortest ones, because they come last: the workers then stop
    at about the same time.

    Parameters
    ----------
    lengths : sequence of int
        Expected frame pairs of each video.
    """
    counts = [1] * len(lengths)
    if workers < 2:
        return counts
    fair = sum(lengths) / workers
    share = _SHARE if len(lengths) >= _MANY * workers else _SHARE / 2
    most = max(MIN_SEGMENT_PAIRS, math.ceil(fair * share))
    most_of_last = max(MIN_SEGMENT_PAIRS // 2, math.ceil(fair * _LAST_SHARE))
    last = set(heapq.nsmallest(workers, range(len(lengths)), key=lengths.__getitem__))
    for k, length in enumerate(lengths):
        if length > most:
            counts[k] = math.ceil(length / most)
        elif k in last:
            counts[k] = max(1, math.ceil(length / most_of_last))
    return counts


def split_job(ticket: Ticket, pairs: int, *, count: int, settings: ExtractSettings) -> list[Ticket]:
    """Return the tickets of the segments of a video; none if it is not split.

    Parameters
    ----------
    ticket : Ticket
    pairs : int
        Expected frame pairs of the video.
    count : int
        Number of segments, at most.
    settings : ExtractSettings
    """
    job, sampling = ticket.job, settings.sampling
    if count < 2 or job.part is not None or sampling.fps is not None:
        return []
    # The calls that write the stack come in batches; the joined stack has the same ones.
    batch = settings.method.batch
    length = math.ceil(pairs / count / batch) * batch
    edges = list(range(0, pairs, length))
    if len(edges) < 2:
        return []
    spans = [
        Span(
            start * sampling.step,
            None if start == edges[-1] else (start + length) * sampling.step + 1,
        )
        for start in edges
    ]
    return [
        Ticket(
            replace(
                job,
                output=job.output.with_name(f"{job.output.name}.{k}.part"),
                part=span,
            ),
            slot=ticket.slot,
            segment=k,
        )
        for k, span in enumerate(spans)
    ]
