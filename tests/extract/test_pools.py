"""Pools of processes: a ticket that ends its worker fails alone, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import flowstream
from flowstream.extract.pools import POOLS
from flowstream.extract.pools.pool import Pool, PoolOptions, Reply
from flowstream.extract.pools.processes import start_python


def make_task() -> Callable[[Any, Callable[[int], None]], Any]:
    """Return a task; defined in a function, because workers cannot import this module."""

    def task(ticket: Any, report: Callable[[int], None]) -> Any:
        import os
        import time

        report(7)
        if ticket == "die":
            os.kill(os.getpid(), 9)
        if ticket == "exit":
            os._exit(3)
        if ticket == "print":
            print("a library prints to standard output", flush=True)
        if ticket == "sleep":
            time.sleep(60)
        return os.getpid(), ticket

    return task


def open_pool(name: str = "processes", **options: Any) -> Pool:
    return POOLS[name]([make_task()], PoolOptions(**options), lambda ticket, count: None)


def run(pool: Pool, *tickets: Any) -> list[Reply]:
    for ticket in tickets:
        pool.submit(ticket)
    return [pool.get() for _ in tickets]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("name", ["processes", "sequential"])
def test_every_ticket_gets_a_reply_and_reports_progress(name: str) -> None:
    seen: list[tuple[Any, int]] = []
    with POOLS[name](
        [make_task()], PoolOptions(workers=2), lambda ticket, count: seen.append((ticket, count))
    ) as pool:
        replies = run(pool, *range(6))
    assert sorted(reply.value[1] for reply in replies) == list(range(6))
    assert sorted(seen) == [(ticket, 7) for ticket in range(6)]
    assert (os.getpid() in {reply.value[0] for reply in replies}) == (name == "sequential")


def test_a_worker_that_dies_takes_only_its_ticket_with_it() -> None:
    with open_pool(workers=1) as pool:
        replies = {reply.ticket: reply for reply in run(pool, "a", "die", "exit", "print", "b")}
    assert replies["die"].may_retry
    assert "SIGKILL" in replies["die"].failure
    assert "exit code 3" in replies["exit"].failure
    for ticket in ("a", "print", "b"):
        assert replies[ticket].value[1] == ticket


def test_a_ticket_that_takes_too_long_is_stopped() -> None:
    with open_pool(workers=2, timeout=3.0) as pool:
        replies = {reply.ticket: reply for reply in run(pool, "sleep", "a")}
    assert "longer than 3 s" in replies["sleep"].failure
    assert not replies["sleep"].may_retry
    assert replies["a"].value[1] == "a"


def test_closing_ends_busy_and_idle_workers_at_once() -> None:
    before = children()
    with open_pool(workers=2) as pool:
        run(pool, "a", "b")
        pool.submit("sleep")
        time.sleep(0.2)
        assert children() - before
        start = time.monotonic()
    assert time.monotonic() - start < 3.0
    assert not children() - before


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_workers_end_with_their_run_however_it_ends(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from flowstream.extract.pools import POOLS\n"
        "from flowstream.extract.pools.pool import PoolOptions\n"
        "def task(ticket, report):\n"
        "    import os, pathlib, time\n"
        "    pathlib.Path(ticket).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "with POOLS['processes']([task], PoolOptions(), lambda *_: None) as pool:\n"
        "    pool.submit(sys.argv[1])\n"
        "    pool.get()\n"
    )
    note = tmp_path / "pid"
    run = subprocess.Popen([sys.executable, "-c", script, str(note)])
    until = time.monotonic() + 30
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    worker = psutil.Process(int(note.read_text()))
    run.send_signal(signal.SIGKILL)
    run.wait()
    worker.wait(5)
    assert not worker.is_running()


def test_a_worker_ignores_modules_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flowstream").mkdir()
    (tmp_path / "flowstream" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    process = start_python("import flowstream; print(flowstream.__file__)", {}, [])
    printed, _ = process.communicate(timeout=60)
    assert Path(printed.decode().strip()) == Path(flowstream.__file__)
