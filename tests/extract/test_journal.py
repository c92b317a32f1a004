"""The record of each video's outcome."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flowstream.extract import Outcome, Summary, read_journal
from flowstream.extract.journal import Journal

DONE = Outcome("a.mp4", "a.h5", "done", frames=5, pairs=4, seconds=1.5, bytes=100, clipped=0.25)
FAILED = Outcome("b.mp4", "b.h5", "failed", "b.mp4: not a video")


def test_a_line_has_every_fact_of_an_outcome(tmp_path: Path) -> None:
    Journal(tmp_path / "extract.jsonl").append(DONE)
    [line] = (tmp_path / "extract.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "source": "a.mp4",
        "output": "a.h5",
        "status": "done",
        "error": "",
        "frames": 5,
        "pairs": 4,
        "seconds": 1.5,
        "bytes": 100,
        "clipped": 0.25,
    }


def test_lines_of_earlier_runs_stay(tmp_path: Path) -> None:
    path = tmp_path / "extract.jsonl"
    Journal(path).append(FAILED)
    Journal(path).append(DONE)
    assert read_journal(path) == [FAILED, DONE]


@given(st.text(), st.integers(0, 400))
def test_a_line_torn_by_a_kill_costs_only_itself(
    tmp_path_factory: object, text: str, cut: int
) -> None:
    path = Path(str(tmp_path_factory.mktemp("journal"))) / "extract.jsonl"  # type: ignore[attr-defined]
    torn = Outcome(text, "c.h5", "failed", text)
    journal = Journal(path)
    journal.append(DONE)
    whole = path.stat().st_size
    journal.append(torn)
    with path.open("r+b") as file:
        file.truncate(max(whole, path.stat().st_size - 1 - cut))
    Journal(path).append(FAILED)
    # cut == 0 takes the line's end only, which the next journal puts back
    assert read_journal(path) in ([DONE, FAILED], [DONE, torn, FAILED])


def test_a_summary_groups_outcomes_and_counts_only_what_was_done() -> None:
    skipped = Outcome("c.mp4", "c.h5", "skipped", frames=9, pairs=8)
    summary = Summary.of([DONE, FAILED, skipped], seconds=2.0)
    assert (summary.done, summary.skipped, summary.failed) == ((DONE,), (skipped,), (FAILED,))
    assert summary.pairs_per_second == 2.0
    assert Summary.of([], seconds=0.0).pairs_per_second == 0.0
