"""Files that claim more than they hold, block, or carry code are refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.faults.hostile import CASES, call, commands, judge

# `make faults` tries these: they take a second each, and much memory where they are not refused.
_SLOW = {"zeros.npz", "images with a huge one"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, sockets and links are Unix's")
@pytest.mark.parametrize("name", [name for name in CASES if name not in _SLOW], ids=ascii)
def test_a_hostile_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    CASES[name][0](path)
    for arguments in commands(path):
        outcome, detail = judge(path, call(arguments))
        assert outcome == "detected", (arguments[0], detail)
