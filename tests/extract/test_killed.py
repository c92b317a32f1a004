"""An extraction that is killed or interrupted leaves nothing behind and can be continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flowstream.extract import read_journal
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
    """What one run from start to end leaves.

    It has processes of its own, because libraries that other tests load change how floating-point
    numbers are rounded.
    """
    out = tmp_path_factory.mktemp("undisturbed")
    subprocess.run([*COMMAND, str(videos), "--out", str(out), *OPTIONS], check=True)
    return content(out)


def start(
    videos: Path, out: Path, errors: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    arguments = [*COMMAND, str(videos), "--out", str(out), *OPTIONS]
    with (out.parent / errors).open("wb") as file:
        return subprocess.Popen(
            arguments,
            start_new_session=True,
            stderr=file,
            preexec_fn=_heed_interrupts,
            env=environment,
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


@pytest.mark.parametrize(
    ("whole_group", "number", "times", "code", "word"),
    [
        (True, signal.SIGINT, 1, 130, "interrupted"),
        (False, signal.SIGINT, 3, 130, "interrupted"),
        (True, signal.SIGTERM, 2, 143, "SIGTERM"),
        (False, signal.SIGHUP, 1, 129, "SIGHUP"),
    ],
)
def test_a_run_ends_cleanly_on_any_signal(
    tmp_path: Path,
    videos: Path,
    *,
    whole_group: bool,
    number: int,
    times: int,
    code: int,
    word: str,
) -> None:
    out = tmp_path / "out"
    # Slim containers have no pgrep, ps or kill.
    process = start(videos, out, "first", {**os.environ, "PATH": str(tmp_path)})
    wait_for("*.part", out, 2)
    workers = psutil.Process(process.pid).children(recursive=True)
    began = time.monotonic()
    for _ in range(times):
        (os.killpg if whole_group else os.kill)(process.pid, number)
        time.sleep(0.05)
    assert process.wait(5) == code
    assert time.monotonic() - began < 5
    gone, alive = psutil.wait_procs(workers, 5 - (time.monotonic() - began))
    assert (len(gone), alive) == (2, [])
    [line] = (tmp_path / "first").read_text().splitlines()
    assert line.startswith("Error: ")
    assert word in line
    assert "run the same command again" in line
    assert not list(out.glob("*.part"))
    for stack in out.glob("*.h5"):
        verify_stack(stack)


def test_a_worker_that_is_killed_costs_nothing(
    tmp_path: Path, videos: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    process = start(videos, out, "first", {**os.environ, "PATH": str(tmp_path)})
    wait_for("*.part", out, 2)
    psutil.Process(process.pid).children()[0].kill()
    assert process.wait(60) == 0
    assert (tmp_path / "first").read_text() == ""
    assert content(out) == undisturbed


@pytest.mark.parametrize("module", ["flowstream.cli.options", "flowstream.extract.batch"])
def test_an_interrupt_during_an_import_shows_no_traceback(tmp_path: Path, module: str) -> None:
    script = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from flowstream.__main__ import run\n"
        "run()"
    )
    command = [sys.executable, "-c", script, "extract", str(tmp_path), "--out", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, check=False, preexec_fn=_heed_interrupts, text=True
    )
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert done.returncode in (130, -signal.SIGINT)
