"""Compilation of kernels: kept on disk, announced once, and done by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowstream.flow.kernels import compilation


def add(one: int, other: int) -> int:
    return one + other


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    return tmp_path


def test_only_a_call_that_compiles_says_so(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, expected in enumerate((1, 0)):
        caplog.clear()
        compilation._notice.cache_clear()
        stage = compilation.Stage(add)
        assert stage(1, 2) == stage(2, 1) == 3
        assert caplog.text.count("compiling for this processor") == expected, number
    assert list(directory.rglob("*.nbc"))


def test_changed_kernels_are_compiled_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilation.Stage(add)(1, 2)
    monkeypatch.setattr(compilation, "digest_of_kernels", lambda: "other")
    changed = compilation.Stage(add)
    changed(1, 2)
    assert sum(changed.dispatcher.stats.cache_misses.values()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fcntl")
def test_another_process_waits_until_the_lock_is_released(tmp_path: Path) -> None:
    code = (
        "import fcntl, sys; file = open(sys.argv[1] + '/compiling.lock', 'a')\n"
        "try: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: print('locked')\n"
        "else: print('free')"
    )

    def state() -> str:
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with compilation._locked(tmp_path):
        assert state() == "locked"
    assert state() == "free"
