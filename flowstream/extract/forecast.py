"""How much work and disk space a batch will take, told before it starts."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flowstream.errors import FlowstreamError, VideoError
from flowstream.extract.jobs import Job
from flowstream.extract.settings import ExtractSettings
from flowstream.extract.worker import extract_video
from flowstream.store import bytes_per_pair
from flowstream.video import Sampling, VideoInfo, probe

# Opening a video costs some milliseconds; of more videos than this, a spread of them is asked.
PROBED = 200
TRIAL_FRAMES = 17
TRIALS = 3


@dataclass(frozen=True)
class Estimate:
    """What the headers of the videos let expect.

    Parameters
    ----------
    pairs : tuple of int
        Frame pairs of each job; of those that were not opened, or cannot be, the mean.
    bytes : int
        Of all stacks, before compression: they will not be larger.
    """

    pairs: tuple[int, ...]
    bytes: int

    def __str__(self) -> str:
        count = len(self.pairs)
        videos = f"{count} video{'s' * (count != 1)}"
        if not any(self.pairs):
            return f"{videos} of unknown length"
        return (
            f"{videos}, about {sum(self.pairs):,} frame pairs; "
            f"at most {readable_bytes(self.bytes)} on disk, before compression"
        )


def estimate(jobs: Sequence[Job], settings: ExtractSettings) -> Estimate:
    """The pairs and bytes to expect of a batch, by the headers of its videos."""
    stride = math.ceil(len(jobs) / PROBED) or 1
    known: dict[int, tuple[int, float]] = {}
    for slot in range(0, len(jobs), stride):
        try:
            info = probe(jobs[slot].source)
        except VideoError:
            continue  # told when its turn comes
        pairs = expected_pairs(info, settings.sampling)
        known[slot] = pairs, pairs * _bytes_per_pair(info, settings)
    mean = [sum(column) / len(known) for column in zip(*known.values(), strict=True)] or [0, 0]
    every = [known.get(slot, (round(mean[0]), mean[1])) for slot in range(len(jobs))]
    return Estimate(tuple(pairs for pairs, _ in every), round(sum(size for _, size in every)))


@dataclass(frozen=True)
class Trial:
    """What a pair costs, measured on the first frames of one video.

    Parameters
    ----------
    seconds, bytes : float
        Per frame pair, with everything: decoding, flow, compression, writing.
    """

    seconds: float
    bytes: float


def try_first(jobs: Sequence[Job], settings: ExtractSettings) -> Trial:
    """Extract the first frames of the first video that can be, into a temporary file.

    Raises
    ------
    FlowstreamError
        If none of the first few can be extracted.
    """
    frames = max(TRIAL_FRAMES, 2 * settings.method.batch + 1)
    for attempt, job in enumerate(jobs, start=1):
        try:
            return _trial(job, settings, frames=frames)
        except FlowstreamError:
            if attempt in (TRIALS, len(jobs)):
                raise
    return Trial(0.0, 0.0)


def _trial(job: Job, settings: ExtractSettings, *, frames: int) -> Trial:
    with tempfile.TemporaryDirectory(prefix="flowstream-") as folder:
        output = Path(folder) / "trial.h5"
        for most in (2, frames):  # the first time imports and compiles
            start = time.perf_counter()
            count, _ = extract_video(replace(job, output=output), settings, most=most)
            seconds = time.perf_counter() - start
        return Trial(seconds / (count - 1), output.stat().st_size / (count - 1))


def expected_pairs(info: VideoInfo, sampling: Sampling) -> int:
    """The frame pairs that sampling a video should give, by its header; 0 where it says nothing."""
    seconds = info.seconds or 0.0
    if sampling.fps is not None:
        frames = round(seconds * sampling.fps)
    else:
        frames = math.ceil((info.header_frames or round(seconds * info.fps)) / sampling.step)
    return max(0, frames - 1)


def readable_bytes(size: float) -> str:
    """`3.2 GB`: powers of 1000, as disks are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def readable_seconds(seconds: float) -> str:
    """`2 h 5 min`: the two largest units."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    whole = max(1, round(seconds))
    parts: list[tuple[int, str]] = []
    for name, size in units:
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count)


def _bytes_per_pair(info: VideoInfo, settings: ExtractSettings) -> float:
    size = settings.sampling.target(info.rows, info.columns, info.aspect)
    return bytes_per_pair(size, settings.codec, settings.outputs)
