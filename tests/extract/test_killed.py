"""Killing an extraction at any moment and starting it again gives what one run would have given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowstream.extract import ExtractSettings, extract, plan, read_journal
from flowstream.flow.tvl1_opencv import TVL1OpenCV
from flowstream.store import open_stack, verify_stack

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process groups on Windows")

COMMAND = [sys.executable, "-c", "from flowstream.cli import main; main()", "extract"]
# A slow method and enough pairs that a run is still at it when it is killed.
OPTIONS = ["--method", "tvl1_opencv", "--jobs", "2", "--quiet"]
CLIPS = 4
MakeClip = Callable[..., Path]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for index in range(CLIPS):
        make_clip(folder / f"{index}.mp4", frames=9, size=(48, 48), seed=index)
    return folder


@pytest.fixture(scope="module")
def undisturbed(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one run from start to end leaves."""
    out = tmp_path_factory.mktemp("undisturbed")
    extract(plan([videos], out), ExtractSettings(TVL1OpenCV()), out, backend="sequential")
    return content(out)


def start(videos: Path, out: Path, errors: str) -> subprocess.Popen[bytes]:
    arguments = [*COMMAND, str(videos), "--out", str(out), *OPTIONS]
    with (out.parent / errors).open("wb") as file:
        return subprocess.Popen(
            arguments, start_new_session=True, stderr=file, preexec_fn=_heed_interrupts
        )


def _heed_interrupts() -> None:
    # What a shell starts in the background ignores them, and so would its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def content(out: Path) -> dict[str, str]:
    """Every file below `out`; of a stack, the checksum over all that it holds."""
    found = {}
    for path in sorted(out.rglob("*")):
        found[path.name] = ""
        if path.suffix == ".h5":
            verify_stack(path)
            with open_stack(path) as stack:
                found[path.name] = stack.digest
    return found


def wait_for(pattern: str, out: Path, count: int = 1) -> None:
    end = time.monotonic() + 60
    while len(list(out.glob(pattern))) < count:
        assert time.monotonic() < end, f"no {pattern} in {out}"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("moment", "count", "whole_group"),
    [("*.jsonl", 1, True), ("*.part", 1, True), ("*.part", 2, False), ("*.h5", 1, False)],
    ids=["at the start", "while writing", "while writing, run only", "between videos, run only"],
)
def test_a_killed_run_started_again_gives_the_same_files(
    tmp_path: Path,
    videos: Path,
    undisturbed: dict[str, str],
    moment: str,
    count: int,
    whole_group: bool,
) -> None:
    out = tmp_path / "out"
    process = start(videos, out, "first")
    wait_for(moment, out, count)
    # Workers of a run that is killed alone live on: they must not write into the next run's files.
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was over before it could be killed"
    assert len(list(out.glob("*.h5"))) < CLIPS, "nothing was left to do"
    assert start(videos, out, "second").wait() == 0
    assert (tmp_path / "second").read_text() == ""
    assert content(out) == undisturbed
    last = {outcome.output: outcome.status for outcome in read_journal(out / "extract.jsonl")}
    assert len(last) == CLIPS
    assert set(last.values()) <= {"done", "skipped"}


@pytest.mark.parametrize("whole_group", [True, False], ids=["as from a terminal", "run only"])
def test_an_interrupted_run_ends_cleanly(tmp_path: Path, videos: Path, whole_group: bool) -> None:
    out = tmp_path / "out"
    process = start(videos, out, "first")
    wait_for("*.part", out, 2)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert (tmp_path / "first").read_text().strip() == "Error: interrupted"
    assert not list(out.glob("*.part"))
    for stack in out.glob("*.h5"):
        verify_stack(stack)
