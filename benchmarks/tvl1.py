"""Compare TV-L1 with other methods on one thread: time per pair, and errors on several datasets.

    python benchmarks/tvl1.py [--repeats N] [--only TABLE ...] [--profile]

FLOWSTREAM_TEST_DATA names the directory of real data (samples/bikes.mp4, middlebury/, kitti2015/,
ucf101/, weights/). Without it the clip is synthetic and the errors are those of rendered scenes.
Methods take turns, and the shortest time of each counts, because other load on the machine disturbs
all of them. Times are wall-clock times.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.registration import optical_flow_tvl1

from benchmarks.flow_accuracy import (
    Image,
    Method,
    middlebury,
    print_disagreement,
    print_disturbed,
    print_errors,
)
from benchmarks.tvl1_profile import print_profiles
from flowstream import METHODS, synthetic
from flowstream.flow import measure
from flowstream.flow.kernels.tvl1_numba import Solver
from flowstream.flow.kernels.tvl1_parameters import PRESETS, Preset
from flowstream.flow.tvl1 import TVL1
from flowstream.video import Sampling, read_frames

SIZE = (256, 340)
PEER = "OpenCV DualTVL1"
SLOW = (PEER, "scikit-image tvl1", "tvl1 opencv")  # left out where only errors count


def by_opencv() -> Method:
    dual = cv2.optflow.createOptFlow_DualTVL1()
    return lambda first, second: np.moveaxis(dual.calc(first, second, None), 2, 0)  # type: ignore[call-overload]


def by_skimage(first: Image, second: Image) -> NDArray[np.float32]:
    estimate: Any = optical_flow_tvl1
    down, right = estimate(first, second)
    return np.stack([right, down])


def by_table(name: str, **parameters: Any) -> Method:
    method = METHODS[name](**parameters)
    return lambda first, second: method(first[None], second[None])[0]


def methods() -> dict[str, Method]:
    ours = {f"tvl1 {preset}": by_table("tvl1", preset=preset) for preset in PRESETS}
    return {
        PEER: by_opencv(),
        "scikit-image tvl1": by_skimage,
        "OpenCV DIS medium": by_table("dis", preset="medium"),
        "OpenCV Farnebäck": by_table("farneback"),
        **ours,
    }


def clip(directory: Path | None) -> tuple[str, list[Image]]:
    if directory is None:
        pair = synthetic.pan(dx=2.5, dy=-1.5, size=SIZE, seed=1)
        return "synthetic pan", [part[0] for part in pair] * 5
    video = directory / "samples" / "bikes.mp4"
    frames = read_frames(video, Sampling(size=SIZE))
    return "bikes.mp4", [np.asarray(frame.luma) for frame in islice(frames, 60, 70)]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def shortest(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    prepare: Mapping[str, Callable[[], object]] | None = None,
) -> dict[str, float]:
    """Return the shortest time of each call; peers over 0.3 s take a third of the turns.

    What `prepare` holds for a name is called before each turn and is not timed.
    """
    best: dict[str, float] = {}
    for turn in range(repeats):
        for name, call in calls.items():
            if turn % 3 and best[name] > 0.3:
                continue
            if prepare is not None:
                prepare[name]()
            best[name] = min(best.get(name, np.inf), seconds(call))
    return best


def iterations(preset: Preset, first: Image, second: Image) -> float:
    method = TVL1(preset=preset)
    vectors = np.empty((2, *first.shape), np.float32)
    return Solver(method.grids(first.shape), method.numbers())(first, second, vectors)


def on_a_pair(directory: Path | None, repeats: int) -> None:
    name, frames = clip(directory)
    first, second = frames[:2]
    table = methods()
    calls = {title: partial(method, first, second) for title, method in table.items()}
    # Another pair, so that memory is allocated, but nothing about the timed pair is known.
    prepare = {
        title: partial(method, *frames[-2:]) if title not in SLOW else (lambda: None)
        for title, method in table.items()
    }
    for call in calls.values():
        call()
    best = shortest(calls, repeats, prepare)
    counts = {f"tvl1 {preset}": iterations(preset, first, second) for preset in PRESETS}
    print(f"\n{SIZE[1]}x{SIZE[0]} pair of {name}, one thread, shortest of up to {repeats}")
    print(f"{'method':20s} {'ms/pair':>9s} {'x OpenCV':>9s} {'iterations':>11s}")
    for title, time_taken in best.items():
        made = f"{counts[title]:.0f}" if title in counts else ""
        ratio = best[PEER] / time_taken
        print(f"{title:20s} {1e3 * time_taken:9.2f} {ratio:9.1f} {made:>11s}")
    print("iterations: of the finest level; those of coarser levels count by their pixels")


def on_middlebury(directory: Path, repeats: int) -> None:
    tables: dict[str, list[tuple[float, float, float]]] = {title: [] for title in methods()}
    scenes = list(middlebury(directory))
    for scene in scenes:
        first, second, truth = scene.first, scene.second, scene.truth
        calls = {title: partial(method, first, second) for title, method in methods().items()}
        fields = {title: method(first, second) for title, method in methods().items()}
        best = shortest(calls, repeats)
        for title, field in fields.items():
            error = measure.average_end_point_error(field, truth)
            angle = measure.average_angular_error(field, truth)
            tables[title].append((error, angle, best[title]))
    print(
        "\nMiddlebury training pairs, one thread: end-point error, pixels / angular error, degrees"
    )
    columns = "".join(f"{name:>15s}" for name in (*[scene.name for scene in scenes], "mean"))
    print(f"{'method':20s}{columns} {'s/pair':>8s} {'x OpenCV':>9s}")
    peer = np.mean([row[2] for row in tables[PEER]])
    for title, rows in tables.items():
        means = np.mean(rows, axis=0)
        cells = "".join(f"{error:8.3f} /{angle:5.2f}" for error, angle, _ in [*rows, means])
        print(f"{title:20s}{cells} {means[2]:8.3f} {peer / means[2]:9.1f}")


def on_a_video(directory: Path | None, repeats: int) -> None:
    """Consecutive pairs share a frame, and threads share the pairs."""
    _, frames = clip(directory)
    stack = np.stack(frames + frames[::-1][1:])[:17]
    pairs = stack[:-1], stack[1:]
    print(f"\n{len(stack) - 1} consecutive pairs in one call, ms/pair, by threads")
    counts = sorted({1, 2, os.cpu_count() or 1})
    threads = "".join(f"{count:>9d}" for count in counts)
    print(f"{'preset':20s}{threads}{'x one':>9s}{'both ways':>12s}{'x one way':>11s}")
    for preset in PRESETS:
        calls: dict[str, Callable[[], object]] = {
            str(count): partial(TVL1(preset=preset, threads=count), *pairs) for count in counts
        }
        calls["both"] = partial(TVL1(preset=preset).both_directions, *pairs)
        best = shortest(calls, max(3, repeats // 3))
        times = {name: 1e3 * value / len(pairs[0]) for name, value in best.items()}
        cells = "".join(f"{times[str(count)]:9.2f}" for count in counts)
        gain = times["1"] / times[str(counts[-1])]
        ratio = times["both"] / times["1"]
        print(f"{preset:20s}{cells}{gain:9.2f}{times['both']:12.2f}{ratio:11.2f}")


FIRST_CALL = """
import time; start = time.perf_counter()
import numpy; from flowstream import METHODS
frames = numpy.zeros((1, 256, 340), numpy.uint8)
METHODS["tvl1"]()(frames, frames)
print(time.perf_counter() - start)
"""


def on_first_calls() -> None:
    with tempfile.TemporaryDirectory() as directory:
        surroundings = {**os.environ, "NUMBA_CACHE_DIR": directory}
        cold, warm, again = (
            float(
                subprocess.run(
                    [sys.executable, "-c", FIRST_CALL],
                    env=surroundings,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(3)
        )
    print(f"\nfirst call in a new process, imports included: {cold:.1f} s with nothing compiled,")
    print(f"{min(warm, again):.2f} s with the compiled kernel on disk")


def on_torch(directory: Path | None) -> None:
    import torch

    from flowstream.device import choose_device

    device = choose_device("auto")
    _, frames = clip(directory)
    title = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    print(f"\ntorch kernel on {title}, {torch.get_num_threads()} threads: ms/pair by pairs at once")
    sizes = (1, 2) if device.type == "cpu" else (1, 4, 16, 64, 128)
    print(f"{'preset':20s}" + "".join(f"{size:>9d}" for size in sizes) + "   px from numba, mean")
    presets: tuple[Preset, ...] = ("default", "fast")
    for preset in presets:
        method = TVL1(preset=preset, engine="torch", device=str(device))
        cells = []
        for size in sizes:
            first, second = (np.stack([frame] * size) for frame in frames[:2])
            method(first, second)
            best = min(seconds(partial(method, first, second)) for _ in range(3))
            cells.append(f"{1e3 * best / size:9.2f}")
        pair = frames[0][None], frames[1][None]
        difference = np.abs(method(*pair) - TVL1(preset=preset)(*pair)).mean()
        print(f"{preset:20s}" + "".join(cells) + f"   {difference:.1e}")


def machine() -> str:
    model = platform.processor() or platform.machine()
    lines = Path("/proc/cpuinfo")
    if lines.exists():
        names = [line for line in lines.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"{model}, {os.cpu_count()} processors, load {load:.1f}; OpenCV {cv2.__version__}"


TABLES = ("first", "pair", "middlebury", "video", "torch", "errors", "disturbed", "raft")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="turns of each method")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, help="tables to print")
    parser.add_argument("--profile", action="store_true", help="time the stages of tvl1 instead")
    options = parser.parse_args()
    named = os.environ.get("FLOWSTREAM_TEST_DATA")
    directory = Path(named) if named else None
    cv2.setNumThreads(1)
    print(machine())
    if options.profile:
        print_profiles(*clip(directory)[1][:2])
        return
    chosen, repeats = options.only, options.repeats
    quick = {title: method for title, method in methods().items() if title not in SLOW}
    tables: dict[str, Callable[[], None]] = {
        "first": on_first_calls,
        "pair": partial(on_a_pair, directory, repeats),
        "video": partial(on_a_video, directory, repeats),
        "torch": partial(on_torch, directory),
        "errors": partial(print_errors, quick, directory),
        "disturbed": partial(print_disturbed, directory),
    }
    if directory is not None:
        tables["middlebury"] = partial(on_middlebury, directory, max(3, repeats // 5))
        tables["raft"] = partial(print_disagreement, quick, directory)
    for name in TABLES:
        if name in chosen and name in tables:
            tables[name]()


if __name__ == "__main__":
    main()
