"""A set of 1,000 short clips, by the documented commands alone.

    python benchmarks/thousand.py --videos DIR [--clips N] [--keep DIR]

Clips of six to ten frames, 112x84, are cut from the videos of a directory with a directory for each
class. They are planned, extracted in four shards at the same time, of which one is killed and
started again, verified, packed, converted to raw frames, and trained on. Each command is printed
with its duration, and what it left is checked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.store import describe_machine
from flowstream.synthetic.files import write_video
from flowstream.types import Images
from flowstream.video import read_frames

SHARDS, SIZE = 4, (84, 112)

RECIPE = """
out = "run"
stacks = "stacks"

[extract]
sources = ["videos"]
method = "farneback"

[split]
layout = "folder"
validation = 0.2
test = 0.2

[streams.spatial]
stream = "rgb"
model = "single_frame"
frames = 1
size = 64
options = { backbone = "tiny_cnn", pretrained = false }
epochs = 2
evaluation = { segments = 1, crops = 1 }

[streams.temporal]
stream = "flow"
model = "early_fusion"
frames = 5
size = 64
options = { backbone = "tiny_cnn", pretrained = false }
epochs = 2
evaluation = { segments = 1, crops = 1 }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--videos", type=Path, required=True, help="directory with one of videos per class"
    )
    parser.add_argument("--clips", type=int, default=1_000, help="number of clips [1000]")
    parser.add_argument("--keep", type=Path, help="directory to work in, kept afterwards")
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        count = write_clips(options.videos, directory / "videos", options.clips)
        print(f"{count:,} clips written in {time.perf_counter() - start:.1f} s")
        run_all(directory, count)


def run_all(directory: Path, count: int) -> None:
    """Run the commands, and check what they leave."""
    words = ["videos", "--out", "stacks", "--method", "farneback", "--jobs", "1"]
    planned = json.loads(run(directory, "plan", *words, "--shard", f"1/{SHARDS}", "--json"))
    extract_shards(directory, words, count)
    status = json.loads(run(directory, "status", "stacks", "--source", "videos", "--json"))
    assert (status["done"], status["failed"], status["remaining"]) == (count, 0, 0), status
    print(
        f"{status['pairs']:,} pairs, {status['bytes'] / 1e6:.0f} MB; one shard was planned with "
        f"{planned['pairs']:,} pairs, {planned['bytes'] / 1e6:.0f} MB, {planned['seconds']:.0f} s"
    )
    assert not list((directory / "stacks").rglob("*.part"))
    run(directory, "verify", "stacks", "--sources", "videos")
    run(directory, "extract", *words, "--quiet")
    run(directory, "pack", "stacks", "--out", "all.h5")
    run(directory, "verify", "all.h5")
    run(directory, "convert", "stacks", "--to", "rawframes", "--out", "raw")
    assert sum(1 for _ in (directory / "raw").rglob("flow_x_*.jpg")) == status["pairs"]
    (directory / "mine.toml").write_text(RECIPE, encoding="utf-8")
    run(directory, "train", "mine.toml")
    report = json.loads((directory / "run" / "report" / "report.json").read_text())
    print(f"report.json has {len(report)} entries")


def extract_shards(directory: Path, words: list[str], count: int) -> None:
    """Extract in shards at the same time; the first one is killed and started again."""
    start = time.perf_counter()
    shards = [
        subprocess.Popen(
            command("extract", *words, "--quiet", "--shard", f"{k}/{SHARDS}"), cwd=directory
        )
        for k in range(1, SHARDS + 1)
    ]
    enough = min(20 * SHARDS, count // 3)
    while len(list((directory / "stacks").rglob("*.h5"))) < enough and shards[0].poll() is None:
        time.sleep(0.05)
    shards[0].kill()
    codes = [shard.wait() for shard in shards]
    assert codes[1:] == [0] * (SHARDS - 1), codes
    done = len(list((directory / "stacks").rglob("*.h5")))
    print(
        f"extract, {SHARDS} shards, one killed: {time.perf_counter() - start:.1f} s, {done:,} done"
    )
    run(directory, "extract", *words, "--quiet", "--shard", f"1/{SHARDS}")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "flowstream", *words]


def run(directory: Path, *words: str) -> str:
    """Run a verb, print it with its duration, and return what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        command(*words), cwd=directory, check=True, stdout=subprocess.PIPE, text=True
    )
    print(f"flowstream {' '.join(words)}: {time.perf_counter() - start:.1f} s", flush=True)
    return done.stdout


def write_clips(source: Path, target: Path, count: int) -> int:
    """Cut clips of six to ten frames out of the videos of a class tree."""
    videos = sorted(path for path in source.rglob("*") if path.suffix in (".avi", ".mp4"))
    cuts = {path: cut(path) for path in videos}
    written = 0
    for path in cycle(videos):
        if written == count or not cuts:
            return written
        frames = next(cuts[path], None) if path in cuts else None
        if frames is None:
            cuts.pop(path, None)
            continue
        clip = target / path.parent.name / f"{path.stem}_{written:05d}.mp4"
        clip.parent.mkdir(parents=True, exist_ok=True)
        write_video(clip, frames, codec="mpeg4")
        written += 1
    return written


def cut(path: Path) -> Iterator[list[Images]]:
    """Yield the frames of one clip after another."""
    lengths = cycle(range(6, 11))
    small = (
        cv2.resize(np.asarray(frame.rgb), SIZE[::-1], interpolation=cv2.INTER_AREA)
        for frame in read_frames(path, luma=False, rgb=True)
    )
    while len(clip := list(islice(small, next(lengths)))) >= 6:
        yield clip  # type: ignore[misc]


if __name__ == "__main__":
    main()
