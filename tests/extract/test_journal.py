"""The record of each video's outcome."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ExtractionError
from flowstream.extract import Outcome, Summary, read_journal
from flowstream.extract.journal import Journal, read_records
from flowstream.extract.journal_lines import Complete, Failures, output_key, read_latest_lines
from flowstream.extract.status import read_status

DONE = Outcome("a.mp4", "a.h5", "done", frames=5, pairs=4, seconds=1.5, bytes=100, clipped=0.25)
FAILED = Outcome("b.mp4", "b.h5", "failed", "b.mp4: not a video")


def test_a_line_has_every_fact_of_an_outcome(tmp_path: Path) -> None:
    done = dataclasses.replace(DONE, output=str(tmp_path / "b" / "a.h5"), notes=("a jump",))
    Journal(tmp_path / "extract.jsonl").append([done])
    assert read_journal(tmp_path / "extract.jsonl") == [done]
    [line] = (tmp_path / "extract.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["output"] == "b/a.h5", "the directory may be moved"
    names = {field.name for field in dataclasses.fields(Outcome)}
    assert record.keys() == names | {"working_directory"}, "of a relative source"
    Journal(tmp_path / "b.jsonl").append([dataclasses.replace(done, source=str(tmp_path / "a"))])
    assert next(read_records(tmp_path / "b.jsonl")).keys() == names


def test_keys_of_other_versions_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "extract.jsonl"
    path.write_text('{"source": "a", "output": "a.h5", "status": "done", "colour": 1}\n')
    assert read_journal(path) == [Outcome("a", str(tmp_path / "a.h5"), "done")]


@pytest.mark.parametrize("replaced", [True, False])
def test_a_journal_removed_during_a_run_is_detected(tmp_path: Path, replaced: bool) -> None:
    journal = Journal(tmp_path / "extract.jsonl")
    kept = (tmp_path / "extract.jsonl").rename(tmp_path / "other")
    if replaced:
        (tmp_path / "extract.jsonl").touch()
    with pytest.raises(ExtractionError, match=r"extract\.jsonl: cannot write the journal"):
        journal.append([DONE])
    assert kept.read_bytes() == b""


def test_lines_of_earlier_runs_stay(tmp_path: Path) -> None:
    path = tmp_path / "extract.jsonl"
    Journal(path).append([FAILED])
    Journal(path).append([DONE])
    assert [one.status for one in read_journal(path)] == ["failed", "done"]


@given(st.text(), st.integers(0, 400))
def test_only_a_truncated_line_is_lost(tmp_path_factory: object, text: str, cut: int) -> None:
    path = Path(str(tmp_path_factory.mktemp("journal"))) / "extract.jsonl"  # type: ignore[attr-defined]
    torn = Outcome(text, "c.h5", "failed", text)
    journal = Journal(path)
    journal.append([DONE])
    whole = path.stat().st_size
    journal.append([torn])
    with path.open("r+b") as file:
        file.truncate(max(whole, path.stat().st_size - 1 - cut))
    Journal(path).append([FAILED])
    # cut == 0 takes the line's end only, which the next journal puts back
    sources = [one.source for one in read_journal(path)]
    assert sources in (["a.mp4", "b.mp4"], ["a.mp4", text, "b.mp4"])


@pytest.mark.parametrize(
    "line",
    [
        b'{"source": "a", "output": [], "status": "done"}',
        b'{"source": "a", "output": "a.h5", "status": "lost"}',
        b'{"source": "a", "output": "a.h5", "status": "failed", "attempt": "two"}',
        b'{"source": "a", "output": "a.h5", "status": "done", "notes": 7}',
        b'{"source": "a", "output": "\xff", "status": "done", "pairs": 1, "bytes": 2, "x": 0}',
        b'{"source": "a", "output": "\\u12", "status": "done", "pairs": 1, "bytes": 2, "x": 0}',
        b"[" * 100_000,
        b'{"source": ' + b"9" * 5000 + b"}",
        b'{"source": "a", "output": "z.h5", "status": "done", "pairs": 1' + b"0" * 400 + b"}",
        b'{"source": "a", "output": "z.h5", "status": "done", "pairs": '
        + (b"9" * 5000 + b', "bytes": 2, "x": 0}'),
        b'{"source": "a", "output": "z.h5", "status": "done", "modified": NaN}',
        b"[1]",
        b"\0" * 1000,
    ],
)
def test_a_damaged_line_costs_only_itself(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "extract.jsonl"
    Journal(path).append([FAILED])
    with path.open("ab") as file:
        file.write(line + b"\n")
    Journal(path).append([DONE])
    assert [one.status for one in read_journal(path)] == ["failed", "done"]
    complete: Complete = {}
    failures: Failures = {}
    read_latest_lines(path, complete, failures)
    assert (list(complete), list(failures)) == ([b"a.h5"], [b"b.h5"])
    (tmp_path / "a.h5").touch()
    status = read_status(tmp_path)
    assert (status.done, len(status.failures)) == (1, 1)


def test_a_summary_groups_outcomes_and_counts_only_what_was_done() -> None:
    skipped = Outcome("c.mp4", "c.h5", "skipped", frames=9, pairs=8)
    summary = Summary.of([DONE, FAILED, skipped], seconds=2.0)
    assert (summary.done, summary.skipped, summary.failed) == ((DONE,), (skipped,), (FAILED,))
    assert summary.pairs_per_second == 2.0
    assert Summary.of([], seconds=0.0).pairs_per_second == 0.0


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from(["done", "skipped", "failed"]))))
def test_the_fast_reader_agrees_with_the_plain_one(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "extract.jsonl"
    outcomes = [
        Outcome(f'{name}"output": "', name, status, error=name, pairs=k, bytes=7)
        for k, (name, status) in enumerate(lines)
    ]
    Journal(path).append(outcomes)
    with path.open("a") as file:
        file.write('{"source": "cut", "output": "x.h5", "status": "do\n')
    latest = {record["output"]: record for record in read_records(path)}
    complete: Complete = {}
    failures: Failures = {}
    read_latest_lines(path, complete, failures)
    failed = {name for name, record in latest.items() if record["status"] == "failed"}
    assert {one["output"]: one["error"] for one in failures.values()} == {
        name: name for name in failed
    }
    assert {key: tuple(map(int, values)) for key, values in complete.items()} == {
        output_key(name): (record["pairs"], record["bytes"])
        for name, record in latest.items()
        if name not in failed
    }
