"""CPU of an extraction beside the bare flow method, two jobs beside one, and start-up.

    python benchmarks/throughput.py [--videos DIR] [--clips N] [--methods tvl1 farneback dis]

`kernel` is the CPU time of the method alone, on frames that are decoded before, in batches as an
extraction makes them, with one thread. `extract` is the CPU time of `flowstream extract --jobs 1`
with RGB images and the default compression, and all that belongs to it: the interpreters, imports,
probing, decoding, encoding and writing. `two jobs` is the ratio of the durations of `--jobs 1` and
`--jobs 2`; `two kernels` is what the cores allow: the same ratio of the method alone, with the same
work in each of two processes. `plan` is the forecast of `flowstream plan --jobs 2` over the truth,
duration and size. The start-up is the duration of the extraction of one clip of two frames. Run it
on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cv2
import numpy as np

from benchmarks.store import describe_machine
from flowstream.flow import METHODS
from flowstream.synthetic.files import write_video
from flowstream.types import Images
from flowstream.video import read_frames

_HEADER = (
    "method",
    "kernel s",
    "extract s",
    "ratio",
    "1 job s",
    "2 jobs s",
    "two jobs",
    "two kernels",
    "plan time",
    "plan size",
)


@dataclass(frozen=True)
class Run:
    """Duration and CPU time of a command, with its children, in seconds."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--videos", type=Path, required=True, help="directory of videos")
    parser.add_argument("--clips", type=int, default=12, help="number of clips (default 12)")
    parser.add_argument("--methods", nargs="+", default=["tvl1", "farneback", "dis"])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    clips = choose(options.videos, options.clips)
    frames = [decode(clip) for clip in clips]
    pairs = sum(len(one) - 1 for one in frames)
    rows, columns = frames[0].shape[1:3]
    print(describe_machine())
    print(f"{len(clips)} clips, {pairs:,} pairs, the first of {columns}x{rows}")
    with tempfile.TemporaryDirectory() as directory:
        tiny = Path(directory) / "tiny.mp4"
        write_video(tiny, np.zeros((2, 48, 64, 3), np.uint8))
        start = min(
            extract([tiny], Path(directory) / f"start{k}", "--method", "dis").wall for k in range(4)
        )
        print(f"start-up {start:.2f} s")
        print("  ".join(f"{cell:>11}" for cell in _HEADER))
        for name in options.methods:
            print("  ".join(f"{cell:>11}" for cell in measure(name, clips, frames)), flush=True)


def choose(directory: Path, count: int) -> list[Path]:
    """Return clips that are spread evenly over a directory."""
    every = sorted(path for path in directory.rglob("*") if path.suffix in (".avi", ".mp4"))
    return every[:: max(1, len(every) // count)][:count]


def decode(path: Path) -> Images:
    """Return the luma of all frames."""
    return np.stack([frame.luma for frame in read_frames(path) if frame.luma is not None])


def measure(name: str, clips: Sequence[Path], frames: Sequence[Images]) -> tuple[str, ...]:
    """Return one line of the table."""
    kernel = run_kernel(name, frames)
    with tempfile.TemporaryDirectory() as directory:
        words = ["--method", name]
        one = extract(clips, Path(directory) / "one", *words, "--jobs", "1")
        two = extract(clips, Path(directory) / "two", *words, "--jobs", "2")
        planned = plan(clips, Path(directory) / "plan", *words, "--jobs", "2")
        size = sum(path.stat().st_size for path in (Path(directory) / "two").glob("*.h5"))
    return (
        name,
        f"{kernel:.2f}",
        f"{one.cpu:.2f}",
        f"{one.cpu / kernel:.2f}x",
        f"{one.wall:.2f}",
        f"{two.wall:.2f}",
        f"{one.wall / two.wall:.2f}x",
        f"{2 * race(name, clips[::3], 1) / race(name, clips[::3], 2):.2f}x",
        f"{planned['seconds'] / two.wall:.2f}x",
        f"{planned['bytes'] / size:.2f}x",
    )


def run_kernel(name: str, frames: Sequence[Images]) -> float:
    """Return the CPU time of the method on all pairs of consecutive frames."""
    method = METHODS[name]()
    method(frames[0][:1], frames[0][1:2])  # imports and loads what is compiled
    before = time.process_time()
    for clip in frames:
        for start in range(0, len(clip) - 1, method.batch):
            window = clip[start : start + method.batch + 1]
            method(window[:-1], window[1:])
    return time.process_time() - before


def race(name: str, clips: Sequence[Path], processes: int) -> float:
    """Return the seconds in which each of some processes runs the method alone on all clips."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_share, initargs=(barrier,)
    ) as pool:
        return max(pool.map(_run, [name] * processes, [clips] * processes))


_start: list[Barrier] = []


def _share(barrier: Barrier) -> None:
    _start.append(barrier)
    cv2.setNumThreads(1)


def _run(name: str, clips: Sequence[Path]) -> float:
    frames = [decode(clip) for clip in clips]
    run_kernel(name, [frames[0][:3]])
    _start[0].wait()
    before = time.perf_counter()
    run_kernel(name, frames)
    return time.perf_counter() - before


def plan(clips: Sequence[Path], out: Path, *words: str) -> dict[str, float]:
    """Return the forecast of `flowstream plan`."""
    command = [sys.executable, "-m", "flowstream", "plan", *map(str, clips), "--out", str(out)]
    done = subprocess.run([*command, "--json", *words], check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def extract(clips: Sequence[Path], out: Path, *words: str) -> Run:
    """Run `flowstream extract` in a process of its own."""
    command = [sys.executable, "-m", "flowstream", "extract", *map(str, clips)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, "--out", str(out), "--quiet", *words], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(time.perf_counter() - start, cpu)


if __name__ == "__main__":
    main()
