"""Bookkeeping of large batches: seconds for many videos, stacks and journal lines, and memory.

    python benchmarks/scale.py [--share 1.0] [--only NAME...]

Each line has the duration, the CPU time and the bound that the project promises. The videos are
empty files or links where nothing reads them; the stacks are links to one stack of 64x48. `--share`
makes the batches smaller: 0.01 takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import repeat
from pathlib import Path

import numpy as np

from benchmarks.store import describe_machine
from flowstream.dataset.clips import StackClips
from flowstream.dataset.inputs import INPUTS
from flowstream.dataset.sharing import share_stacks
from flowstream.dataset.split import Sample
from flowstream.dataset.window import Window
from flowstream.extract import ExtractRecipe, find_jobs
from flowstream.extract.comparison import settings_digest
from flowstream.extract.journal import Outcome
from flowstream.synthetic.files import write_video

FRAMES, METHOD = 6, "dis"


@contextmanager
def timed(what: str, bound: str) -> Iterator[None]:
    """Print the duration and the CPU time of a block, with its child processes."""
    before, start = cpu_seconds(), time.perf_counter()
    yield
    wall, cpu = time.perf_counter() - start, cpu_seconds() - before
    print(f"{what:<58}{wall:>8.1f} s{cpu:>8.1f} s CPU   {bound}", flush=True)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run(*words: str | Path) -> None:
    """Run a verb of flowstream in a process of its own."""
    subprocess.run([sys.executable, "-m", "flowstream", *map(str, words)], check=True)


def write_clip(path: Path, frames: int, size: tuple[int, int] = (48, 64)) -> Path:
    """Write a video of a texture that moves."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (size[0], size[1] + 64), np.uint8)
    images = (np.roll(texture, k % 64, axis=1)[:, : size[1]] for k in range(frames))
    return write_video(path, images, codec="mpeg4")


def extract_one(directory: Path) -> tuple[Path, Path]:
    """Return a video and its stack."""
    video = write_clip(directory / "one.mp4", FRAMES)
    run("extract", video, "--out", directory / "one", "--method", METHOD, "--quiet")
    return video, directory / "one" / "one.h5"


def link(original: Path, path: Path) -> None:
    """Link a file; the original is copied where it has as many links as the file system allows."""
    try:
        os.link(original, path)
    except OSError:
        shutil.copy2(original, path)
        os.replace(shutil.copy2(original, original.with_suffix(".new")), original)


def nothing_to_do(directory: Path, share: float) -> None:
    """Run an extraction whose stacks are all there, and open all of them for two streams."""
    count = round(100_000 * share)
    video, stack = extract_one(directory)
    videos, out = directory / "videos", directory / "stacks"
    outcomes = []
    settings = settings_digest(ExtractRecipe((videos,), method=METHOD).settings())
    for k in range(count):
        source = videos / f"{k % 100:02d}" / f"{k}.mp4"
        output = out / f"{k % 100:02d}" / f"{k}.h5"
        for path, original in ((source, video), (output, stack)):
            path.parent.mkdir(parents=True, exist_ok=True)
            link(original, path)
        outcomes.append((source, output))
    write_journal(out / "extract.jsonl", outcomes, settings=settings)
    with timed(f"nothing to do, {count:,} stacks", "60 s"):
        run("extract", videos, "--out", out, "--method", METHOD, "--quiet")
    samples = [Sample(path.stem, k % 100, path.stem, path) for k, (_, path) in enumerate(outcomes)]
    window = Window(length=FRAMES - 1)
    # A run shares the stacks of its streams in the same way.
    with share_stacks(), timed(f"training starts, {count:,} stacks, two streams", "60 s"):
        for name in ("rgb", "flow"):
            clips = StackClips(samples, window, {name: INPUTS[name]()}, training=True)
            assert clips[0].inputs[name].any()


def write_journal(path: Path, outcomes: list[tuple[Path, Path]], *, settings: str) -> None:
    """Write one line for each source and output, as a run does."""
    with path.open("w") as file:
        for source, output in outcomes:
            video, stack = source.stat(), output.stat()
            record = Outcome(
                str(source),
                output.relative_to(path.parent).as_posix(),
                "done",
                frames=FRAMES,
                pairs=FRAMES - 1,
                seconds=0.1,
                bytes=stack.st_size,
                settings=settings,
                modified=stack.st_mtime_ns,
                source_bytes=video.st_size,
                source_modified=video.st_mtime_ns,
            )
            file.write(json.dumps(asdict(record)) + "\n")


def status_of_many(directory: Path, share: float) -> None:
    """Read the status from a long journal with one failure in a thousand lines."""
    count = round(1_000_000 * share)
    with (directory / "extract.jsonl").open("w") as file:
        for k in range(count):
            failed = k % 1000 == 7
            record = Outcome(
                f"/data/videos/{k % 400:03d}/{k}.mp4",
                f"{k % 400:03d}/{k}.h5",
                "failed" if failed else "done",
                error="damaged: 3 of 250 frames are corrupted" if failed else "",
                pairs=249,
                bytes=13_000_000,
                settings="0123456789abcdef",
                modified=1_700_000_000_000_000_000 + k,
                source_bytes=500_000,
            )
            file.write(json.dumps(asdict(record)) + "\n")
    with timed(f"status, {count:,} lines", "10 s"):
        run("status", directory)


def listing(directory: Path, share: float) -> None:
    """List many sources."""
    count = round(300_000 * share)
    for k in range(count):
        path = directory / "videos" / f"{k % 400:03d}" / f"v_{k}.mp4"
        if k < 400:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with timed(f"listing, {count:,} videos", "60 s"):
        found = find_jobs([directory / "videos"], directory / "out").jobs
    assert len(found) == count


def short_videos(directory: Path, share: float) -> None:
    """Extract many short videos with one worker: time per video beyond that of a single one."""
    count = max(10, round(1_000 * share))
    video = write_clip(directory / "one.mp4", FRAMES)
    (directory / "videos").mkdir()
    for k in range(count):
        os.link(video, directory / "videos" / f"{k}.mp4")
    words = ["--method", METHOD, "--jobs", "1", "--quiet"]
    before, start = cpu_seconds(), time.perf_counter()
    run("extract", video, "--out", directory / "a", *words)
    once, cpu_once = time.perf_counter() - start, cpu_seconds() - before
    before, start = cpu_seconds(), time.perf_counter()
    run("extract", directory / "videos", "--out", directory / "b", *words)
    each = (time.perf_counter() - start - once) / (count - 1)
    cpu = (cpu_seconds() - before - cpu_once) / (count - 1)
    what = f"a video of {FRAMES} frames of 64x48 (of {count:,})"
    print(f"{what:<58}{1e3 * each:>7.1f} ms{1e3 * cpu:>7.1f} ms CPU   15 ms", flush=True)


def memory(directory: Path, share: float) -> None:
    """Print the peak memory of a worker for videos of growing length."""
    command = (
        "import resource, sys; from pathlib import Path;"
        "from flowstream.extract import ExtractRecipe;"
        "from flowstream.extract.jobs import Job;"
        "from flowstream.extract.work import Ticket;"
        "from flowstream.extract.worker import attempt;"
        f"settings = ExtractRecipe(('x',), method={METHOD!r}).settings();"
        "found = attempt(Ticket(Job(Path(sys.argv[1]), Path(sys.argv[2]), 'x')), settings);"
        "assert found.outcome.status == 'done', found;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    for frames in (200, 2_000, round(20_000 * share)):
        video = write_clip(directory / f"{frames}.mp4", frames, size=(120, 160))
        words = [sys.executable, "-c", command, str(video), str(directory / f"{frames}.h5")]
        peak = int(subprocess.run(words, check=True, capture_output=True).stdout)
        peak *= 1 if sys.platform == "darwin" else 1024
        print(
            f"{'peak memory of a worker, frames ' + format(frames, ','):<58}{peak / 1e6:>7.0f} MB"
        )


PARTS: dict[str, Callable[[Path, float], None]] = {
    "nothing": nothing_to_do,
    "status": status_of_many,
    "listing": listing,
    "short": short_videos,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="share of the full numbers")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    print(describe_machine())
    for name, share in zip(options.only, repeat(options.share), strict=False):
        with tempfile.TemporaryDirectory() as directory:
            PARTS[name](Path(directory), share)


if __name__ == "__main__":
    main()
