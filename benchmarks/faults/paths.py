"""Names and directories that no extraction expects: one bad path must not stop the others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.runs import finish, read_digests, start, undisturbed
from benchmarks.faults.tally import Budget, Tally


def long_name(videos: Path, out: Path) -> None:
    """Add a video whose stack's name is too long for the file system."""
    shutil.copy(videos / "0.mp4", videos / f"{'n' * 251}.mp4")


def part_directory(videos: Path, out: Path) -> None:
    """Add a directory where a part file must be written."""
    shutil.copy(videos / "0.mp4", videos / "x.mp4")
    (out / "x.h5.part").mkdir(parents=True)


def file_for_directory(videos: Path, out: Path) -> None:
    """Add a file where a subdirectory of stacks must be made."""
    (videos / "sub").mkdir()
    shutil.copy(videos / "0.mp4", videos / "sub" / "x.mp4")
    out.mkdir()
    (out / "sub").write_text("a file")


def link_to_itself(videos: Path, out: Path) -> None:
    """Add a link that leads to itself, and one to the directory above."""
    (videos / "self.mp4").symlink_to("self.mp4")
    (videos / "up").symlink_to("..")


def pipe(videos: Path, out: Path) -> None:
    """Add a pipe named like a video."""
    os.mkfifo(videos / "pipe.mp4")


def control_characters(videos: Path, out: Path) -> None:
    """Add a video with control characters in its name."""
    shutil.copy(videos / "0.mp4", videos / "a\x1b[31mb\nc.mp4")


def not_utf8(videos: Path, out: Path) -> None:
    """Add a video whose name is not UTF-8."""
    shutil.copy(os.fsencode(videos / "0.mp4"), os.fsencode(videos) + b"/caf\xe9.mp4")


def not_a_video(videos: Path, out: Path) -> None:
    """Add an empty video and one that is text."""
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "text.avi").write_text("text\n" * 100)


def deep_tree(videos: Path, out: Path) -> None:
    """Add 300 levels of directories."""
    path = videos
    for _ in range(300):
        path /= "d"
        path.mkdir()


FAULTS: tuple[Callable[[Path, Path], None], ...] = (
    long_name,
    part_directory,
    file_for_directory,
    link_to_itself,
    pipe,
    control_characters,
    not_utf8,
    not_a_video,
    deep_tree,
)


def run(budget: Budget) -> Tally:
    """Add each bad path to sound videos; these must be extracted."""
    tally = budget.tally("paths")
    sound, expected, _ = undisturbed(budget.scratch)
    for add in FAULTS:
        if budget.is_spent(tally.tried):
            break
        root = budget.scratch / add.__name__
        videos, out = root / "videos", root / "out"
        shutil.copytree(sound, videos)
        add(videos, out)
        tally.add(*judge(videos, out, expected, add.__name__))
    return tally


def judge(videos: Path, out: Path, expected: dict[str, str], what: str) -> tuple[str, str]:
    """Extract, and return the outcome and its description."""
    ended = finish(start(videos, out))
    if failure := ended.failure(what):
        return failure
    found = read_digests(out)
    if any(found.get(name) != digest for name, digest in expected.items()):
        return "lost", f"{what}: {ended.errors[-300:]}"
    return ("detected" if ended.code else "harmless"), what
