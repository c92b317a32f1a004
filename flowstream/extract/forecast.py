"""Expected length of each video of a batch, and an upper bound of the disk space."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from flowstream.errors import FlowstreamError
from flowstream.extract.jobs import Job
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.sources import source_state
from flowstream.store import bytes_per_pair
from flowstream.video import Pair, Sampling, Span, VideoInfo, probe
from flowstream.video.sampling import ROUNDING

# Opening a video takes some milliseconds: of more videos than this, an even sample is opened, and
# the others are estimated from their number of bytes.
PROBED = 128
# Bytes per pixel hardly depend on the size; this one is that of UCF101.
_NOMINAL = (240, 320)


@dataclass(frozen=True)
class Estimate:
    """Expected size of a batch.

    Parameters
    ----------
    pairs : tuple of int
        Number of frame pairs of each job.
    pixels : tuple of int
        Pixels of each field of a job.
    bytes : int
        Size of all stacks before compression, an upper bound.
    unreadable : tuple of (Job, str)
        Jobs of the sample that cannot be opened, with the reason.
    probed : int
        Number of videos that were opened.
    """

    pairs: tuple[int, ...]
    pixels: tuple[int, ...]
    bytes: int
    unreadable: tuple[tuple[Job, str], ...] = ()
    probed: int = 0

    def __str__(self) -> str:
        count = len(self.pairs)
        videos = f"{count:,} video{'s' * (count != 1)}"
        if not any(self.pairs):
            return f"{videos} of unknown length"
        return f"{videos}, about {sum(self.pairs):,} frame pairs"


@dataclass(frozen=True)
class _Probe:
    """Facts about one video."""

    pairs: int
    pixels: int
    source_bytes: int


def estimate(jobs: Sequence[Job], settings: ExtractSettings, *, most: int = PROBED) -> Estimate:
    """Estimate the pairs of each job and the bytes of all, from the headers of the videos.

    The same jobs give the same numbers on every machine.

    Parameters
    ----------
    most : int
        Number of videos to open; 0 opens all.
    """
    stride = math.ceil(len(jobs) / most) if most else 1
    known: dict[int, _Probe] = {}
    unreadable = []
    for slot in range(0, len(jobs), max(1, stride)):
        try:
            known[slot] = _probe(jobs[slot], settings.sampling)
        except (FlowstreamError, OSError) as error:
            unreadable.append((jobs[slot], str(error)))
    every = _complete(jobs, known)
    per_pixel = _bytes_per_pixel(settings)
    return Estimate(
        pairs=tuple(one.pairs for one in every),
        pixels=tuple(one.pixels for one in every),
        bytes=round(sum(one.pairs * one.pixels for one in every) * per_pixel),
        unreadable=tuple(unreadable),
        probed=len(known) + len(unreadable),
    )


def expected_pairs(info: VideoInfo, sampling: Sampling, part: Span | Pair | None = None) -> int:
    """Return the frame pairs that a video should give, by its header; 0 if it is unknown."""
    if isinstance(part, Pair):
        return 1
    rate = info.fps or 25.0
    frames = info.header_frames or round((info.seconds or 0.0) * rate)
    start, end = 0, frames / rate
    if part is not None:
        # A part in seconds starts with the first frame that appears in it.
        scale = 1.0 if part.unit == "frames" else rate
        start = math.ceil(part.start * scale - ROUNDING * rate)
        last = frames if part.end is None else min(frames or math.inf, part.end * scale)
        end = last / rate
        frames = math.ceil(last - ROUNDING * rate) - start
    if sampling.fps is not None:
        slack = ROUNDING if part is None else 2 * ROUNDING  # of a part, both ends are rounded
        frames = math.ceil((end - start / rate - slack) * sampling.fps)
    return max(0, math.ceil(frames / sampling.step) - 1)


def readable_bytes(size: float) -> str:
    """Return `3.2 GB`: powers of 1000, as disks are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def readable_seconds(seconds: float) -> str:
    """Return `2 h 5 min`: the two largest units."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    whole = max(1, round(seconds))
    parts: list[tuple[int, str]] = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count)


def _probe(job: Job, sampling: Sampling) -> _Probe:
    if job.problem:
        raise OSError(job.problem)
    info = probe(job.source)
    rows, columns = sampling.target(info.rows, info.columns)
    pairs = expected_pairs(info, sampling, job.part)
    return _Probe(pairs, rows * columns, source_state(job.source)[0])


def _complete(jobs: Sequence[Job], known: dict[int, _Probe]) -> list[_Probe]:
    """Return a probe of each job; jobs that were not opened get the mean of their kind."""
    kinds: dict[str, list[_Probe]] = defaultdict(list)
    for slot, one in known.items():
        kinds[_kind(jobs[slot])].append(one)
        kinds[""].append(one)
    return [known.get(slot) or _guess(job, kinds) for slot, job in enumerate(jobs)]


def _guess(job: Job, kinds: dict[str, list[_Probe]]) -> _Probe:
    alike = kinds.get(_kind(job)) or kinds.get("") or []
    total = sum(one.source_bytes for one in alike)
    try:
        size = 0 if job.problem else source_state(job.source)[0]
    except OSError:
        size = 0
    if not total:
        return _Probe(0, 0, size)
    pairs = sum(one.pairs for one in alike)
    pixels = sum(one.pairs * one.pixels for one in alike) // max(1, pairs)
    # Parts of videos are as long as other parts, whatever the size of their video.
    share = 1 / len(alike) if job.part is not None else size / total
    return _Probe(round(pairs * share), pixels, size)


def _kind(job: Job) -> str:
    return f"{job.source.suffix.lower()}{'@' * (job.part is not None)}"


def _bytes_per_pixel(settings: ExtractSettings) -> float:
    return bytes_per_pair(_NOMINAL, settings.codec, settings.stored_outputs) / math.prod(_NOMINAL)
