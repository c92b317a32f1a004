"""One run at a time in a directory; shards share it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowstream.errors import ExtractionError, ParameterError
from flowstream.extract import Outcome, Shard, read_journal
from flowstream.extract import directory as module
from flowstream.extract.directory import hold_directory
from flowstream.extract.journal import Journal, read_latest
from flowstream.locks import FileLock, is_locked


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)


def outcome(directory: Path, name: str) -> Outcome:
    return Outcome(f"{name}.mp4", str(directory / f"{name}.h5"), "done")


def test_a_second_run_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with hold_directory(tmp_path), pytest.raises(ExtractionError, match="another extraction is"):
        hold_directory(tmp_path).__enter__()
    with hold_directory(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["extract.jsonl"]


def test_shards_run_at_the_same_time_and_their_journals_become_one(tmp_path: Path) -> None:
    with hold_directory(tmp_path, Shard(1, 2)) as first:
        with hold_directory(tmp_path, Shard(2, 2)) as second:
            first.journal.append([outcome(tmp_path, "a")])
            second.journal.append([outcome(tmp_path, "b")])
            assert read_latest(tmp_path).keys() == {"a.h5", "b.h5"}
        assert [line.source for line in read_journal(tmp_path / "extract.jsonl")] == ["b.mp4"]
    assert {line.source for line in read_journal(tmp_path / "extract.jsonl")} == {"a.mp4", "b.mp4"}
    assert [path.name for path in tmp_path.iterdir()] == ["extract.jsonl"]


@pytest.mark.parametrize("other", [None, Shard(1, 2), Shard(1, 3)])
def test_runs_whose_jobs_overlap_are_refused(tmp_path: Path, other: Shard | None) -> None:
    with (
        hold_directory(tmp_path, Shard(1, 2)),
        pytest.raises(ExtractionError, match="another extraction"),
    ):
        hold_directory(tmp_path, other).__enter__()


def test_a_shard_is_refused_while_a_whole_run_is_active(tmp_path: Path) -> None:
    with hold_directory(tmp_path), pytest.raises(ExtractionError, match="another extraction"):
        hold_directory(tmp_path, Shard(1, 2)).__enter__()


def test_the_journal_of_a_killed_shard_is_added_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "extract.3-of-4.jsonl").write_text(
        '{"source": "a.mp4", "output": "a.h5", "status": "done"}\n{"source": "b.m'
    )
    with hold_directory(tmp_path):
        pass
    assert [line.source for line in read_journal(tmp_path / "extract.jsonl")] == ["a.mp4"]
    assert not (tmp_path / "extract.3-of-4.jsonl").exists()


def test_the_journal_of_a_killed_shard_of_another_count_is_added_by_a_shard(tmp_path: Path) -> None:
    Journal(tmp_path / "extract.1-of-2.jsonl").append([outcome(tmp_path, "a")])
    with hold_directory(tmp_path, Shard(1, 3)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["extract.jsonl"]
    assert len(read_journal(tmp_path / "extract.jsonl")) == 1


@pytest.mark.parametrize(("index", "count"), [(0, 2), (3, 2), (-1, 2)])
def test_a_shard_outside_its_range_is_refused(index: int, count: int) -> None:
    with pytest.raises(ParameterError, match=f"got {index}/{count}"):
        Shard(index, count)


def test_a_lock_on_a_removed_file_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "file"
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(patience=0.0)
    path.unlink()
    assert not first.is_current()
    assert second.acquire(patience=0.0)
    first.release()
    second.release()


@pytest.mark.skipif(sys.platform == "win32", reason="locks are not inherited on Windows")
def test_workers_hold_the_lock_of_their_run(tmp_path: Path) -> None:
    with hold_directory(tmp_path) as held:
        worker = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=[held.descriptor],
        )
    # The run has ended, its worker has not.
    assert is_locked(tmp_path / "extract.jsonl")
    with pytest.raises(ExtractionError, match="another extraction"):
        hold_directory(tmp_path).__enter__()
    worker.communicate()
    assert not is_locked(tmp_path / "extract.jsonl")
