"""A short version of the campaigns of faults; `make faults` runs the long one."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faults import CAMPAIGNS, damage, videos
from benchmarks.faults.__main__ import main
from benchmarks.faults.tally import Budget, Tally, format_tallies
from benchmarks.faults.watched import WatchedProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory by setrlimit")


def test_damaged_videos_are_refused(tmp_path: Path) -> None:
    few = dict([*videos.KINDS.items()][:7])
    tally = videos.run(Budget(tmp_path, seed=3, seconds=10, most=30), kinds=few)
    assert tally.tried >= len(few)
    assert tally.failures == 0, tally.findings
    assert tally.counts["detected"] > 0


def test_each_way_changes_the_bytes() -> None:
    for way in damage.WAYS:
        content = bytearray(range(256)) * 20
        assert way(content, np.random.default_rng(1))
        assert content != bytearray(range(256)) * 20


def test_a_watched_process_survives_what_it_calls() -> None:
    with WatchedProcess(seconds=3) as child:
        assert child.call("os:getcwd").kind == "value"
        assert child.call("time:sleep", 60).kind == "hung"
    with WatchedProcess(seconds=60) as child:
        assert child.call("os:_exit", 3).kind == "crashed"
        assert "ZeroDivisionError" in child.call("operator:truediv", 1, 0).value
        refused = child.call("flowstream.video:count_frames", "/nowhere.mp4")
        assert (refused.kind, "/nowhere.mp4" in refused.value) == ("error", True)


def _toy(budget: Budget) -> Tally:
    tally = budget.tally("toys")
    while not budget.is_spent(tally.tried):
        time.sleep(0.02)
        tally.add("harmless", "a toy")
    if budget.most == 3:
        time.sleep(60)  # a fault that does not end
    if budget.most == 2:
        raise RuntimeError("the undisturbed run failed")
    return tally


@pytest.mark.parametrize(("most", "tried"), [(1000, 5), (3, 3), (2, 3)])
def test_a_campaign_keeps_its_time_and_always_writes_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, tried: int
) -> None:
    monkeypatch.setitem(CAMPAIGNS, "training", (f"{__name__}:_toy", 1.0))
    table, began = tmp_path / "table.md", time.monotonic()
    code = main(
        ["--minutes", "0.01", "--most", str(most), "--only", "training", "--out", str(table)]
    )
    # a second for a busy machine; the share is 0.6 s
    assert time.monotonic() - began < 1.6
    cells = table.read_text().splitlines()[-3].split("|")
    assert int(cells[2]) >= tried
    assert code == (most == 2)


def _terminated(budget: Budget) -> Tally:
    tally = budget.tally("toys")
    tally.add("harmless", "a toy")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    return tally


def test_a_terminated_program_writes_the_table_of_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CAMPAIGNS, "training", (f"{__name__}:_terminated", 1.0))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(["--minutes", "1", "--only", "training", "--out", str(tmp_path / "table.md")])
    assert ended.value.code == 128 + signal.SIGTERM
    assert "| all | 1 | 0 | 1 |" in (tmp_path / "table.md").read_text()
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_table_adds_up() -> None:
    tally = Tally("toys")
    for outcome in ("detected", "harmless", "lost"):
        tally.add(outcome, "a fault")
    assert tally.tried == 3
    assert tally.failures == len(tally.findings) == 1
    table = format_tallies([tally, tally]).splitlines()
    assert table[-1].startswith("| all | 6 | 2 | 2 |")
    assert len(CAMPAIGNS) >= 5
