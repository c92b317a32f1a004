"""Clips per second from stacks, a tree of JPEG files and float32 .npy, by one and two workers.

    python benchmarks/reading.py [--size WxH] [--videos N] [--seconds S]

A clip is a random window of ten fields with a random crop of 224x224, as float32 pixels; only the
crop is decoded to floats, and the file is opened for each clip, as a dataset does. Videos are
panning textures with DIS flow; all pages are cached. The ratio is to the JPEG tree with as many
workers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.store import describe_machine, estimate, moving_texture, size, write_stack
from flowstream.codec.centred8 import Centred8
from flowstream.codec.linear8 import Linear8
from flowstream.store import COMPRESSIONS, open_stack
from flowstream.types import Vectors

CLIP, CROP, PAIRS = 10, 224, 60

Crop = tuple[slice, slice]
Read = Callable[[Path, int, Crop], Vectors]


def read_tree(path: Path, start: int, crop: Crop) -> Vectors:
    """Read a window of a directory of JPEG files."""
    names = [f"{path}/{axis}_{k:05d}.jpg" for k in range(start, start + CLIP) for axis in "xy"]
    planes = np.stack([np.asarray(cv2.imread(name, cv2.IMREAD_GRAYSCALE)) for name in names])
    return Linear8().decode(planes[:, crop[0], crop[1]].astype(np.uint8, copy=False))


def read_npy(path: Path, start: int, crop: Crop) -> Vectors:
    """Read a window of a float32 array."""
    planes = np.load(path, mmap_mode="r")[2 * start : 2 * (start + CLIP)]
    window: Vectors = np.array(planes[:, crop[0], crop[1]])
    return window


def read_stack(path: Path, start: int, crop: Crop) -> Vectors:
    """Read a window of a stack."""
    with open_stack(path) as stack:
        return stack.window(start, CLIP, region=crop)


def work(read: Read, paths: list[Path], *rest: Any) -> int:
    """Read random clips of fields of a size for some seconds and return their number."""
    shape, seconds = rest
    cv2.setNumThreads(1)
    rng = np.random.default_rng()
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        y, x = (int(rng.integers(side - CROP + 1)) for side in shape)
        crop = slice(y, y + CROP), slice(x, x + CROP)
        read(paths[rng.integers(len(paths))], int(rng.integers(PAIRS - CLIP + 1)), crop)
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=size, default=(256, 340), metavar="WxH")
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(describe_machine())
    with tempfile.TemporaryDirectory() as directory:
        kinds = write_all(Path(directory), options.size, options.videos)
        context = multiprocessing.get_context("spawn")
        print(
            f"{'layout':<12}{'B/frame':>10}{'1 worker':>11}{'ratio':>7}"
            f"{'2 workers':>11}{'ratio':>7}"
        )
        peers: dict[int, float] = {}
        for name, (read, paths) in kinds.items():
            line = f"{name:<12}{bytes_per_frame(paths):>10,.0f}"
            for workers in (1, 2):
                with context.Pool(workers) as pool:
                    pool.starmap(work, [(read, paths, options.size, 0.2)] * workers)
                    counts = pool.starmap(
                        work, [(read, paths, options.size, options.seconds)] * workers
                    )
                rate = sum(counts) / options.seconds
                line += f"{rate:>11.0f}{rate / peers.setdefault(workers, rate):>6.1f}x"
            print(line)


def write_all(
    directory: Path, shape: tuple[int, int], videos: int
) -> dict[str, tuple[Read, list[Path]]]:
    """Write all videos in each layout."""
    kinds: dict[str, tuple[Read, list[Path]]] = {
        "JPEG tree": (read_tree, []),
        "npy": (read_npy, []),
    }
    kinds |= {name: (read_stack, []) for name in COMPRESSIONS}
    vectors = estimate(list(islice(moving_texture(shape), PAIRS + 1)))
    for n in range(videos):
        shifted = np.roll(vectors, 7 * n, axis=0)
        tree = directory / f"tree{n}"
        tree.mkdir()
        for k, field in enumerate(shifted):
            for axis, plane in zip("xy", Linear8().encode(field), strict=True):
                cv2.imwrite(f"{tree}/{axis}_{k:05d}.jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, 95])
        np.save(directory / f"{n}.npy", shifted.reshape(-1, *shape))
        kinds["JPEG tree"][1].append(tree)
        kinds["npy"][1].append(directory / f"{n}.npy")
        for name in COMPRESSIONS:
            path = directory / f"{n}-{name}.h5"
            write_stack(path, shifted, codec=Centred8(), compression=name)
            kinds[name][1].append(path)
    return kinds


def bytes_per_frame(paths: list[Path]) -> float:
    """Return the mean size of what one field takes."""
    files = [file for path in paths for file in (path.iterdir() if path.is_dir() else [path])]
    return sum(file.stat().st_size for file in files) / (PAIRS * len(paths))


if __name__ == "__main__":
    main()
