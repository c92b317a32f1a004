"""Part (e) of benchmarks/gpu.py: from video files to stacks, by number of decoding processes."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.gpu_checks import pan_frames
from benchmarks.gpu_parts import Add, Place, check_time
from benchmarks.gpu_tvl1 import caller, tensors
from flowstream.extract import ExtractSettings, RunOptions, extract, plan
from flowstream.flow.tvl1 import TVL1
from flowstream.synthetic.files import write_video


def measure(place: Place, add: Add) -> None:
    size = (40, 56) if place.tiny else (256, 340)
    shape = place.shape
    method = TVL1(**shape, engine="torch", device=place.device)
    pairs = min(method.pairs_at_once(size), 2 if place.tiny else 64)
    kernel = place.rate(caller(method, *tensors(place, size, pairs)), pairs)
    add("kernel", batch=pairs, pairs_per_second=kernel)
    # About five seconds of the kernel's work, in videos of 300 frames.
    videos = 2 if place.tiny else max(16, min(96, int(5 * kernel / 300)))
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        sources = write_videos(root / "in", size, videos=videos, frames=4 if place.tiny else 301)
        for workers in (1,) if place.tiny else (16, 4, 1):
            # With fewer processes, fewer videos take as long.
            count = videos if place.tiny else max(1, videos * workers // 16)
            if not check_time(place, 15):
                return
            out = root / f"out-{workers}"
            backend = "sequential" if place.tiny else "processes"
            options = RunOptions(workers=workers, backend=backend, share_devices=True)
            start = time.perf_counter()
            summary = extract(
                plan(sources[:count], out), ExtractSettings(method), out, options=options
            )
            taken = time.perf_counter() - start
            done = sum(outcome.pairs for outcome in summary.done)
            add(
                "end to end",
                processes=workers,
                videos=count,
                pairs=done,
                failed=len(summary.failed),
                seconds=taken,
                pairs_per_second=done / taken,
                share_of_kernel=done / taken / kernel,
            )
            shutil.rmtree(out)


def write_videos(root: Path, size: tuple[int, int], *, videos: int, frames: int) -> list[Path]:
    """Write a video, and copies of it."""
    root.mkdir()
    first = write_video(root / "0.mp4", iter(pan_frames(frames, size)))
    return [first, *(Path(shutil.copy(first, root / f"{k}.mp4")) for k in range(1, videos))]
