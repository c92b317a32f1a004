"""Damage a stack in thousands of ways and count how reading and verifying it end.

    python -m tests.store.campaign [--small N] [--large N] [--json FILE]

Each variant zeroes, flips or cuts one block of a file. A worker process with 1 GB of memory more
than it starts with examines them one after the other, and is given 10 seconds for each; one that
dies or takes longer is counted and replaced. N is the number of variants of each file; without
it, every 64-byte block of the small one and 240 random blocks of the one of 20 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from flowstream.codec import CODECS
from flowstream.errors import StackError
from flowstream.store import (
    Header,
    Stack,
    create_stack,
    encode_jpeg,
    open_stack,
    read_members,
    verify_stack,
    write_pack,
)
from flowstream.store.pack import _read_members

BLOCK = 64
SECONDS = 10.0
MEMORY = 2**30
OUTPUTS = ["rgb", "backward", "consistency", "camera", "corrupt"]

BAD = ("wrong", "silent", "crashed", "hung", "traceback")
"""Outcomes that must not occur: wrong values passed by verify, wrong values read without an error,
the process died, took too long, or raised anything but an error of one line."""


class Variant(NamedTuple):
    """One way to damage a file."""

    kind: str
    offset: int


def write_small(path: Path) -> Path:
    """Write a stack of 50 kB with everything that one may hold."""
    return _write(path, size=(24, 40), pairs=12, codec="centred8", images=True)


def write_large(path: Path) -> Path:
    """Write a stack of 20 MB."""
    return _write(path, size=(180, 240), pairs=56, codec="float32", images=False)


def write_packed(path: Path) -> Path:
    """Write a pack of two small stacks with everything that they may hold."""
    stacks = {}
    for name in ("a", "b"):
        stacks[f"{name}.h5"] = path.with_name(f"{path.stem}-{name}.h5")
        _write(stacks[f"{name}.h5"], size=(24, 40), pairs=3, codec="centred8", images=True)
    write_pack(stacks, path)
    return path


def _write(path: Path, *, size: tuple[int, int], pairs: int, codec: str, images: bool) -> Path:
    rng = np.random.default_rng(8)
    outputs = OUTPUTS if images else []
    header = Header(
        size=size,
        method={"name": "dis"},
        sampling={"step": 1},
        codec=CODECS[codec](),
        source="clip.mp4",
        source_size=size,
        stabiliser={"name": "homography"} if images else None,
    )
    with create_stack(path, header, outputs=outputs) as writer:
        for t in range(pairs + 1):
            image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
            writer.add_frame(t, t / 25, encode_jpeg(image) if images else None)
        vectors = rng.normal(0, 5, (pairs, 2, *size)).astype(np.float32)
        optional = {
            "flow_backward": -vectors,
            "consistent": vectors[:, 0] > 0,
            "homography": np.tile(np.eye(3), (pairs, 1, 1)),
            "inliers": np.ones(pairs, np.float32),
        }
        writer.add_fields(vectors, **(optional if images else {}))
        if images:
            writer.add_values("corrupt", [1, 2])
    return path


def variants(length: int, count: int | None, *, seed: int) -> list[Variant]:
    """Return all variants of the blocks of a file, or `count` random ones."""
    every = [
        Variant(kind, offset)
        for offset in range(0, length, BLOCK)
        for kind in ("zero", "flip", "cut")
    ]
    return every if count is None else random.Random(seed).sample(every, min(count, len(every)))


def examine(path: Path, truth: str) -> str:
    """Read and verify a damaged stack, and name the outcome."""
    try:
        read = content(path)
    except StackError as error:
        read = _one_line(error, path)
    try:
        for stack in _members(path):
            verify_stack(stack)
    except StackError as error:
        text = _one_line(error, path)
        if text == "traceback":
            return text
        return "silent" if read not in ("refused", truth) else "refused"
    return "harmless" if read == truth else "wrong"


def content(path: Path) -> str:
    """Return a digest of all that can be read of a stack, or of the stacks in a pack."""
    digest = hashlib.blake2b()
    for member in _members(path):
        with open_stack(member) as stack:
            digest.update(repr(stack.header).encode())
            for values in _everything(stack):
                digest.update(values)
    return digest.hexdigest()


def _members(path: Path) -> list[Path]:
    """Return the paths of the stacks in a file: its own, or those in a pack."""
    if "pack" not in path.name:
        return [path]
    # Its key is the time of the last change, which a file system counts in milliseconds.
    _read_members.cache_clear()
    return [path / name for name in read_members(path)]


def _everything(stack: Stack) -> Iterator[bytes]:
    for name in ("flow", "frame", "time"):
        yield stack.read(name).tobytes()
    if stack.has_rgb:
        for name in ("flow_backward", "consistent", "homography", "inliers", "corrupt"):
            yield stack.read(name).tobytes()
        for t in range(stack.num_frames):
            yield stack.jpeg(t)


def _one_line(error: StackError, path: Path) -> str:
    text = str(error)
    return "refused" if "\n" not in text and text.startswith(str(path)) else "traceback"


def work(source: Path, todo: IO[str]) -> None:
    """Examine variants from `todo`, a line each, and print each outcome."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    whole = source.read_bytes()
    truth = content(source)
    with source.open("r+b") as file:
        for line in todo:
            kind, offset = line.split()
            _damage(file, whole, Variant(kind, int(offset)))
            try:
                outcome = examine(source, truth)
            except Exception as error:
                outcome = "traceback"
                print(repr(error), file=sys.stderr)
            print(outcome, flush=True)
            _write_at(
                file,
                int(offset),
                whole[int(offset) :] if kind == "cut" else whole[int(offset) : int(offset) + BLOCK],
            )


def _damage(file: IO[bytes], whole: bytes, variant: Variant) -> None:
    kind, offset = variant
    block = whole[offset : offset + BLOCK]
    if kind == "cut":
        file.truncate(offset)
    elif kind == "zero":
        _write_at(file, offset, bytes(len(block)))
    else:
        place = offset // BLOCK % len(block)
        flipped = bytearray(block)
        flipped[place] ^= 1 << offset // BLOCK % 8
        _write_at(file, offset, bytes(flipped))


def _write_at(file: IO[bytes], offset: int, data: bytes) -> None:
    file.seek(offset)
    file.write(data)
    file.flush()


def run(source: Path, chosen: list[Variant]) -> Counter[str]:
    """Examine variants in watched worker processes and count the outcomes."""
    outcomes: Counter[str] = Counter()
    left = list(chosen)
    whole = source.read_bytes()
    while left:
        source.write_bytes(whole)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.store.campaign", "--worker", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as worker:
            left = left[_feed(worker, left, outcomes) :]
            worker.kill()
    source.write_bytes(whole)
    return outcomes


def _feed(worker: subprocess.Popen[str], todo: list[Variant], outcomes: Counter[str]) -> int:
    """Give variants to a worker until one is its last; returns how many are done."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    for done, (kind, offset) in enumerate(todo, start=1):
        try:
            worker.stdin.write(f"{kind} {offset}\n")
            worker.stdin.flush()
        except BrokenPipeError:
            outcomes["crashed"] += 1
            return done
        # the first one also waits for the worker's imports
        seconds = SECONDS if done > 1 else 60 + SECONDS
        ready, _, _ = select.select([worker.stdout], [], [], seconds)
        outcome = worker.stdout.readline().strip() if ready else "hung"
        outcomes[outcome or "crashed"] += 1
        if outcome in ("", "hung"):
            return done
    return len(todo)


def main() -> None:
    """Run the campaign, print a table, and exit with 1 if an outcome is bad."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int)
    parser.add_argument("--large", type=int, default=240)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", type=Path)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, sys.stdin)
        return
    table: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, write, count in (
            ("small", write_small, options.small),
            ("pack", write_packed, options.small),
            ("large", write_large, options.large),
        ):
            path = write(Path(directory) / f"{name}.h5")
            length = path.stat().st_size
            outcomes = run(path, variants(length, count, seed=1))
            table[f"{name} ({length} bytes)"] = dict(outcomes)
            print(f"{name}: {length} bytes, {sum(outcomes.values())} variants: {dict(outcomes)}")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2))
    sys.exit(any(outcome in BAD for outcomes in table.values() for outcome in outcomes))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
