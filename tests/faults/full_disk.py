"""Write every kind of file on a disk that is full, and again with room; print what became of it.

    python -m tests.faults.full_disk DIRECTORY

DIRECTORY is a small file system. The output is one JSON object with an entry for each kind: the
error, and whether the file of before was unchanged, a part was left, and the next try succeeded.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import artefacts
from flowstream import synthetic
from flowstream.cli import main as command_line
from flowstream.extract.journal import Journal, Outcome
from flowstream.report.write import write_report
from flowstream.scores import read_scores
from flowstream.view.film import write_film
from tests.small_stack import make_stack

Write = Callable[[Path], object]


def fill(directory: Path, *, left: int) -> Path:
    """Use up the disk of a directory but for some bytes."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(filler, max(0, filler.stat().st_size - left))
    return filler


def run(*arguments: str | Path) -> None:
    """Run a verb; raise the first line of its errors."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            command_line([*map(str, arguments)])
    except SystemExit as end:
        if end.code:
            raise RuntimeError(said.getvalue().splitlines()[0]) from None


def attempt(write: Write, path: Path) -> str:
    """Return the error of writing a file, or an empty string."""
    try:
        write(path)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def judge(write: Write, path: Path, *, left: int) -> dict[str, Any]:
    """Write a file, write it again on a full disk, and once more with room."""
    write(path)
    before = _content(path)
    filler = fill(path.parent, left=left)
    error = attempt(write, path)
    unchanged, parts = _content(path) == before, [*path.parent.glob("**/*.part*")]
    filler.unlink()
    last = attempt(write, path)
    return {"error": error, "unchanged": unchanged, "parts": len(parts), "after": last}


def _content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file): file.read_bytes() for file in files}


def write_cases(videos: Path, stack: Path) -> dict[str, tuple[str, Write]]:
    """Return each kind of output: its name, and how it is written."""
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
    journal: list[Journal] = []

    def add_line(path: Path) -> None:
        journal[:] = journal or [Journal(path)]
        journal[0].append([Outcome("a" * 9000, "b", "failed")])

    return {
        "stack": ("x.h5", make_stack),
        "checkpoint": ("x.pt", artefacts.KINDS["checkpoint"].write),
        "scores": ("x.npz", artefacts.KINDS["scores"].write),
        "field": ("x.flo", artefacts.KINDS["flo"].write),
        "film": ("x.mp4", lambda path: write_film(path, iter(noise), fps=5.0)),
        "animation": ("x.gif", lambda path: write_film(path, iter(noise), fps=5.0)),
        "report": ("report", _write_report),
        "journal": ("extract.jsonl", add_line),
        "page": ("page.html", lambda path: run("view", stack, "-o", path)),
        "index": ("pages", lambda path: run("view", stack, videos / "a.mp4", "-o", path)),
        "picture": ("x.png", lambda path: run("show", stack, "-o", path)),
        "pack": ("x.pack", lambda path: run("pack", stack.parent, "-o", path, "--overwrite")),
        "arrays": ("out", lambda path: run(*_CONVERT, stack, "-o", path)),
        "extraction": ("out", lambda path: run(*_EXTRACT, videos, "--out", path, "--overwrite")),
    }


def _write_report(path: Path) -> None:
    scores = path.parent / "scores.npz"
    if not scores.exists():
        artefacts.KINDS["scores"].write(scores)
    write_report(path, {"flow": read_scores(scores)}, None, facts={})


_EXTRACT = ("extract", "--method", "dis", "--backend", "sequential", "--quiet", "--force")
_CONVERT = ("convert", "--to", "npy", "--overwrite")


def main() -> None:
    """Run all cases and print their results."""
    disk = Path(sys.argv[1])
    videos = disk.parent / "videos"
    videos.mkdir()
    stack = disk.parent / "stacks" / "clip.h5"
    stack.parent.mkdir()
    make_stack(stack)
    image = synthetic.texture((48, 80), seed=1)
    synthetic.write_video(videos / "a.mp4", [image[:, k : k + 64] for k in range(6)])
    found = {}
    for kind, (name, write) in write_cases(videos, stack).items():
        place = disk / kind
        place.mkdir()
        found[kind] = judge(write, place / name, left=2048)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
