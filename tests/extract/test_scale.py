"""A set of clips is planned, extracted in shards, verified and converted by commands alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import data, output

SHARDS, CLIPS = 3, 6
OPTIONS = ["--method", "farneback", "--jobs", "1"]


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "flowstream", *map(str, words)]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_shards_of_which_one_is_killed_make_the_whole_set(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    for k in range(CLIPS):
        make_clip(videos / f"{k % 2}/{k}.mp4", frames=40, size=(96, 96), seed=k)
    planned = data("plan", videos, "--out", out, *OPTIONS)
    assert (planned["videos"], planned["pairs"]) == (CLIPS, 39 * CLIPS)
    extract: list[str | Path] = ["extract", videos, "--out", out, *OPTIONS, "--quiet", "--shard"]
    shards = [
        subprocess.Popen(command(*extract, f"{k + 1}/{SHARDS}"), stderr=subprocess.PIPE)
        for k in range(SHARDS)
    ]
    until = time.monotonic() + 60
    while not list(out.rglob("*.part")) and time.monotonic() < until:
        time.sleep(0.01)
    shards[0].send_signal(signal.SIGKILL)
    for shard in shards:
        _, errors = shard.communicate(timeout=300)
        assert errors == b""
    assert [shard.returncode for shard in shards] == [-signal.SIGKILL, 0, 0]
    output(*extract, f"1/{SHARDS}")
    status = data("status", out, "--source", videos)
    assert (status["done"], status["failed"], status["remaining"]) == (CLIPS, 0, 0)
    assert status["pairs"] == planned["pairs"]
    assert not list(out.rglob("*.part"))
    assert [path.name for path in out.glob("*.jsonl")] == ["extract.jsonl"]
    output("verify", out)
