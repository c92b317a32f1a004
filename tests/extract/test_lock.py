"""One run at a time in a folder, and no worker that outlives its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowstream.errors import ExtractionError
from flowstream.extract import lock
from flowstream.extract.lock import running_in, wait_for_workers, working_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no advisory locks on Windows")

# A worker whose parent, the run, sleeps on or is killed.
RUN = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import os, sys, time
from pathlib import Path
from flowstream.extract.lock import working_for
with working_for(int(sys.argv[1]), Path(sys.argv[2])):
    print(os.getpid(), flush=True)
    time.sleep(60)
''', str(os.getpid()), sys.argv[1]])
time.sleep(60)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "extract.jsonl"
    path.touch()
    return path


def test_a_second_run_in_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    with (
        running_in(tmp_path),
        pytest.raises(ExtractionError, match="another extraction is writing"),
        running_in(tmp_path),
    ):
        pass


def test_a_folder_is_free_after_its_run_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    with running_in(tmp_path):
        pass
    with running_in(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_workers_do_not_exclude_each_other(journal: Path) -> None:
    with working_for(None, journal), working_for(os.getpid(), journal):
        pass
    wait_for_workers(journal)


def test_waiting_for_a_worker_that_stays_ends_with_an_error(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.1)
    with (
        working_for(None, journal),
        pytest.raises(ExtractionError, match="a worker of an earlier extraction"),
    ):
        wait_for_workers(journal)


def test_a_worker_ends_with_its_run_and_frees_the_folder(journal: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(journal)], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    wait_for_workers(journal)  # raises if the worker lives on
    for _ in range(100):  # a process ends a moment after its locks are free
        if not Path(f"/proc/{worker}").exists():
            break
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_worker_whose_run_is_gone_does_not_begin(journal: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from flowstream.extract.lock import working_for\n"
        f"with working_for({os.getpid()} + 10**7, Path({str(journal)!r})): print('began')"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (1, b"")
