"""Locks of directories of outputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowstream.errors import ConversionError
from flowstream.locks import DIRECTORY_LOCK, lock_directory

HOLD = """
import sys
from pathlib import Path
from flowstream.errors import ConversionError
from flowstream.locks import lock_directory
with lock_directory(Path(sys.argv[1]), ConversionError):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_while_a_run_holds_the_directory(tmp_path: Path) -> None:
    with lock_directory(tmp_path, ConversionError):
        with pytest.raises(ConversionError, match="another run is writing into this directory"):
            lock_directory(tmp_path, ConversionError).__enter__()
        assert (tmp_path / DIRECTORY_LOCK).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_no_lock_that_blocks(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"held\n"
        with pytest.raises(ConversionError, match="another run"):
            lock_directory(tmp_path, ConversionError).__enter__()
        run.kill()
        run.wait()
    assert (tmp_path / DIRECTORY_LOCK).exists()
    with lock_directory(tmp_path, ConversionError):
        pass


def test_a_directory_that_stays_empty_is_removed(tmp_path: Path) -> None:
    out = tmp_path / "new"
    with pytest.raises(RuntimeError), lock_directory(out, ConversionError):
        raise RuntimeError
    assert not out.exists()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConversionError, match="cannot write into this directory"):
        lock_directory(tmp_path / "file" / "out", ConversionError).__enter__()
