"""Unreadable and odd paths fail alone; the rest of the tree is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowstream.errors import ExtractionError
from flowstream.extract import ExtractSettings, RunOptions, extract, find_jobs, plan
from flowstream.flow.dis import DIS

MakeClip = Callable[..., Path]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(jobs: list[object]) -> list[str]:
    return [str(job.name) for job in jobs]  # type: ignore[attr-defined]


def test_skipped_files_are_counted_with_the_reason(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    touch(*(videos / name for name in ("a.mp4", "a.txt", "b.txt", ".b.mp4", "cover.jpg")))
    (videos / "c.unknown").write_bytes(b"no video" * 100)
    os.mkfifo(videos / "pipe.mkv")
    found = find_jobs([videos], tmp_path / "out")
    assert [job.name for job in found.jobs] == ["a.mp4"]
    line = found.describe_passed_over()
    assert "2 .txt, such as a.txt (not a video by its suffix .txt)" in line
    assert ".b.mp4 (a hidden name)" in line
    assert "pipe.mkv (not a regular file)" in line
    assert "cover.jpg (a single image)" in line
    assert "c.unknown (not a video" in line


def test_circular_links_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path / "videos/a/clip.mp4")
    (tmp_path / "videos/self").symlink_to("self")
    (tmp_path / "videos/a/up").symlink_to("..", target_is_directory=True)
    jobs = plan([tmp_path / "videos"], tmp_path / "out")
    assert {job.name for job in jobs if not job.problem} == {"a/clip.mp4"}


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory with 1,500 levels below; the path of the lowest is too long to use."""
    here = os.getcwd()
    (tmp_path / "videos").mkdir()
    try:
        os.chdir(tmp_path / "videos")
        for _ in range(1500):
            os.mkdir("deep")
            os.chdir("deep")
        os.chdir(here)
        yield tmp_path / "videos"
        os.chdir(tmp_path / "videos")
        for _ in range(1500):
            os.chdir("deep")
        for _ in range(1500):  # shutil.rmtree would run out of recursion
            os.chdir("..")
            os.rmdir("deep")
    finally:
        os.chdir(here)


def test_1500_levels_of_directories_are_searched_as_far_as_paths_go(
    tmp_path: Path, deep: Path
) -> None:
    touch(deep / "z.mp4")
    jobs = plan([deep], tmp_path / "out")
    assert jobs[-1].name == "z.mp4"
    assert jobs[-1].problem == ""
    assert "name too long" in jobs[0].problem


def test_an_unreadable_directory_fails_alone(tmp_path: Path, make_clip: MakeClip) -> None:
    videos = tmp_path / "videos"
    touch(videos / "a/clip.mp4")
    make_clip(videos / "b.mp4", frames=3)
    (videos / "a").chmod(0)
    command = [sys.executable, "-m", "flowstream", "extract", videos, "--out", tmp_path / "out"]
    if os.geteuid() == 0:  # who can read every directory, unless these capabilities are dropped
        if shutil.which("setpriv") is None:
            pytest.skip("root can read every directory, and there is no setpriv")
        command[:0] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    done = subprocess.run(
        [*map(str, command), "--method", "dis", "--backend", "sequential", "--quiet"],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    (videos / "a").chmod(0o700)
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    assert first == f"failed: {videos / 'a'}: cannot read it: Permission denied"
    assert last.startswith("Error: 1 of 2 videos failed")
    assert (tmp_path / "out/b.h5").exists()


def test_all_name_clashes_are_listed_at_once(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    touch(videos / "a.avi", videos / "a.mp4", videos / "b.avi", videos / "b.mkv", videos / "c.mp4")
    with pytest.raises(ExtractionError) as caught:
        plan([videos], tmp_path / "out")
    message = str(caught.value)
    assert message.startswith("2 stacks")
    assert "--keep-suffix" in message
    for name in ("a.avi", "a.mp4", "b.avi", "b.mkv"):
        assert str(videos / name) in message
    jobs = plan([videos], tmp_path / "out", keep_suffix=True)
    assert [job.output.name for job in jobs] == [
        "a.avi.h5",
        "a.mp4.h5",
        "b.avi.h5",
        "b.mkv.h5",
        "c.mp4.h5",
    ]


@pytest.mark.parametrize(
    "trouble",
    ["long name", "directory as part", "directory as stack", "file as directory", "dead link"],
)
def test_one_bad_path_never_stops_a_batch(tmp_path: Path, make_clip: object, trouble: str) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    make = make_clip
    make(videos / "good.mp4", frames=3)  # type: ignore[operator]
    bad = {"long name": "x" * 250 + ".mp4", "file as directory": "sub/bad.mp4"}
    path = videos / bad.get(trouble, "bad.mp4")
    path.parent.mkdir(exist_ok=True)
    make(tmp_path / "clip.mp4", frames=3).rename(path)  # type: ignore[operator]
    out.mkdir()
    if trouble == "directory as part":
        (out / "bad.h5.part/inside").mkdir(parents=True)
    elif trouble == "directory as stack":
        (out / "bad.h5/inside").mkdir(parents=True)
    elif trouble == "file as directory":
        (out / "sub").touch()
    elif trouble == "dead link":
        path.unlink()
        path.symlink_to("nowhere.mp4")
    options = RunOptions(backend="sequential")
    summary = extract(
        plan([videos], out), ExtractSettings(DIS(preset="ultrafast")), out, options=options
    )
    assert [outcome.source for outcome in summary.done] == [str(videos / "good.mp4")]
    [failed] = summary.failed
    assert failed.source == str(path)
    assert "\n" not in failed.error
    assert "Traceback" not in failed.error
