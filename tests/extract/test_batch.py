"""Many videos in parallel: a video that fails does not affect the others."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from flowstream.errors import ExtractionError, MissingDependencyError, ParameterError
from flowstream.extract import ExtractSettings, RunOptions, directory, extract, plan, read_journal
from flowstream.extract.batch import with_threads
from flowstream.extract.directory import hold_directory
from flowstream.flow import FlowMethod
from flowstream.flow.dis import DIS
from flowstream.store import open_stack, verify_stack
from flowstream.types import Images, Vectors

SETTINGS = ExtractSettings(DIS(preset="ultrafast"))
MakeClip = Callable[..., Path]


@pytest.fixture
def videos(tmp_path: Path, make_clip: MakeClip) -> Path:
    """Four clips of 3, 4, 5 and 6 frames."""
    for index in range(4):
        make_clip(tmp_path / f"videos/{'ab'[index % 2]}/{index}.mp4", frames=3 + index, seed=index)
    return tmp_path / "videos"


def stacks(out: Path) -> dict[str, str]:
    """The files below `out`, stacks with their checksum."""
    found = {}
    for path in sorted(out.rglob("*")):
        if path.suffix == ".h5":
            with open_stack(path) as stack:
                found[str(path.relative_to(out))] = stack.digest
        elif path.is_file():
            found[str(path.relative_to(out))] = ""
    return found


@pytest.mark.parametrize("backend", ["sequential", "processes"])
def test_every_video_becomes_a_stack_and_a_line(tmp_path: Path, videos: Path, backend: str) -> None:
    out = tmp_path / "out"
    summary = extract(
        plan([videos], out), SETTINGS, out, options=RunOptions(workers=2, backend=backend)
    )
    names = ["a/0.h5", "a/2.h5", "b/1.h5", "b/3.h5"]
    assert [outcome.output for outcome in summary.done] == [str(out / name) for name in names]
    assert [outcome.frames for outcome in summary.done] == [3, 5, 4, 6]
    assert set(stacks(out)) == {*names, "extract.jsonl"}
    for name in names:
        verify_stack(out / name)
    lines = read_journal(out / "extract.jsonl")
    assert sorted(lines, key=lambda line: line.output) == list(summary.done)


def test_the_same_stacks_come_of_any_number_of_workers(tmp_path: Path, videos: Path) -> None:
    for workers in (1, 2):
        out = tmp_path / str(workers)
        extract(plan([videos], out), SETTINGS, out, options=RunOptions(workers=workers))
    assert stacks(tmp_path / "1") == stacks(tmp_path / "2")


def test_a_second_run_skips_and_overwriting_does_not(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    jobs = plan([videos], out)
    first = extract(jobs, SETTINGS, out, options=RunOptions(limit=2, backend="sequential"))
    assert len(first.done) == 2
    second = extract(jobs, SETTINGS, out, options=RunOptions(backend="sequential"))
    assert (len(second.skipped), len(second.done)) == (2, 2)
    third = extract(jobs, SETTINGS, out, options=RunOptions(overwrite=True, backend="sequential"))
    assert (len(third.skipped), len(third.done)) == (0, 4)
    # a stack that was skipped is in the journal already
    assert len(read_journal(out / "extract.jsonl")) == 2 + 2 + 4


def test_a_bad_video_stops_nothing_else(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    (videos / "a/0.mp4").write_text("not a video")
    (videos / "a/2.mp4").write_bytes(b"")
    (videos / "a/gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    summary = extract(plan([videos], out), SETTINGS, out, options=RunOptions(workers=2))
    assert len(summary.done) == 2
    assert [outcome.source for outcome in summary.failed] == [
        str(videos / name) for name in ("a/0.mp4", "a/2.mp4", "a/gone.mp4")
    ]
    for outcome in summary.failed:
        assert outcome.source in outcome.error
        assert "\n" not in outcome.error
    assert set(stacks(out)) == {"b/1.h5", "b/3.h5", "extract.jsonl"}


def deadly(frames: int, directory: Path) -> FlowMethod:
    """A method that kills its process at the last pair of a video of so many frames.

    Defined in a function, so that workers get it by value: they cannot import test modules.
    """
    killed = str(directory / "killed")

    @dataclass(frozen=True)
    class Deadly(FlowMethod):
        name: ClassVar[str] = "deadly"
        pairs: int = 100

        @property
        def batch(self) -> int:
            return self.pairs

        def estimate(self, first: Images, second: Images) -> Vectors:
            if len(first) == frames - 1:
                with open(killed, "a") as file:
                    file.write("x")
                os.kill(os.getpid(), signal.SIGKILL)
            return np.zeros((len(first), 2, *first.shape[1:]), np.float32)

    return Deadly()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_video_that_kills_its_worker_takes_no_other_with_it(
    tmp_path: Path, videos: Path, workers: int
) -> None:
    out = tmp_path / "out"
    settings = dataclasses.replace(SETTINGS, method=deadly(4, tmp_path))
    summary = extract(plan([videos], out), settings, out, options=RunOptions(workers=workers))
    [failed] = summary.failed
    assert failed.source == str(videos / "b/1.mp4")
    assert "failed twice" in failed.error
    assert "SIGKILL" in failed.error
    # tried again alone: another video could have done it, by taking all memory
    assert (tmp_path / "killed").read_text() == "xx"
    assert set(stacks(out)) == {"a/0.h5", "a/2.h5", "b/3.h5", "extract.jsonl"}


def test_a_stack_of_other_settings_is_refused_before_any_work(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    extract(plan([videos], out), SETTINGS, out, options=RunOptions(limit=1, backend="sequential"))
    before = stacks(out)
    other = dataclasses.replace(SETTINGS, method=deadly(0, tmp_path))
    with pytest.raises(ExtractionError, match=r"method\.name: .*'dis'.*'deadly'"):
        extract(plan([videos], out), other, out, options=RunOptions(backend="sequential"))
    assert stacks(out) == before


def test_parts_of_a_killed_run_are_removed(tmp_path: Path, videos: Path) -> None:
    out = tmp_path / "out"
    jobs = plan([videos], out)
    extract(jobs, SETTINGS, out, options=RunOptions(limit=1, backend="sequential"))
    for job in jobs:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        job.output.with_name(job.output.name + ".part").write_bytes(b"half a stack")
    extract(jobs, SETTINGS, out, options=RunOptions(backend="sequential"))
    assert not list(out.rglob("*.part"))


def test_a_directory_in_use_is_refused(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "PATIENCE_SECONDS", 0.0)
    out = tmp_path / "out"
    with hold_directory(out), pytest.raises(ExtractionError, match=r"out: another extraction"):
        extract(plan([videos], out), SETTINGS, out)
    assert set(stacks(out)) == {"extract.jsonl"}


def test_an_empty_list_of_jobs_is_valid(tmp_path: Path) -> None:
    summary = extract([], SETTINGS, tmp_path / "out")
    assert summary.done == summary.skipped == summary.failed == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 0}, "workers: expected at least 1, got 0"),
        ({"limit": 0}, "limit: expected at least 1, got 0"),
        ({"timeout": 0.0}, "timeout: expected a positive number"),
        ({"timeout": 1.0, "backend": "sequential"}, "timeout: only the backend 'processes'"),
        ({"backend": "proceses"}, "unknown backend 'proceses'.*Did you mean 'processes'"),
        ({"overwrite": True, "verify": True}, "overwrite: excludes"),
    ],
)
def test_invalid_options_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        RunOptions(**wrong)


def test_an_output_that_is_a_file_is_refused(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ExtractionError, match="out: cannot write into this directory"):
        extract(plan([videos], tmp_path / "out"), SETTINGS, tmp_path / "out")


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_backend_that_is_not_installed_names_its_extra(
    tmp_path: Path, videos: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, {"dask": "distributed"}.get(backend, backend), None)
    pool = f"flowstream.extract.pools.{backend}_cluster"
    monkeypatch.delitem(sys.modules, pool, raising=False)
    out = tmp_path / "out"
    with pytest.raises(MissingDependencyError, match=rf"flowstream\[{backend}\]"):
        extract(plan([videos], out), SETTINGS, out, options=RunOptions(backend=backend))


@dataclass(frozen=True)
class Threaded(DIS):
    """A method that can use several threads."""

    threads: int = dataclasses.field(default=1, compare=False)
    device: str = dataclasses.field(default="cpu", compare=False)


def test_threads_go_to_methods_that_take_them_unless_the_user_chose() -> None:
    assert with_threads(Threaded(), 4).threads == 4  # type: ignore[attr-defined]
    assert with_threads(Threaded(threads=2), 4).threads == 2  # type: ignore[attr-defined]
    assert with_threads(DIS(), 4) == DIS()


def test_a_method_on_a_gpu_processes_one_video_at_a_time() -> None:
    assert RunOptions().num_workers(Threaded(device="cuda:0")) == 1
    assert RunOptions().num_workers(Threaded()) >= 1
    assert RunOptions(devices=("cuda:0", "cuda:1")).num_workers(Threaded()) == 2
    assert RunOptions(workers=3).num_workers(Threaded(device="cuda:0")) == 3
