"""A Dask and a Ray cluster on this machine: nothing is lost or done twice if a worker dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flowstream.extract import ExtractSettings, RunOptions, extract, plan, read_journal
from flowstream.flow.farneback import Farneback
from flowstream.store import verify_stack

CLIPS = 12


@pytest.fixture
def videos(tmp_path: Path, make_clip: Callable[..., Path]) -> Path:
    for k in range(CLIPS):
        make_clip(tmp_path / f"videos/{k}.mp4", frames=6, seed=k)
    return tmp_path / "videos"


def check(videos: Path, out: Path, **options: Any) -> None:
    """Extract all videos, and find one complete stack and one journal line for each."""
    settings = ExtractSettings(Farneback())
    summary = extract(plan([videos], out), settings, out, options=RunOptions(workers=2, **options))
    assert [outcome.error for outcome in summary.failed] == []
    assert len(summary.done) == CLIPS
    lines = read_journal(out / "extract.jsonl")
    assert sorted(line.output for line in lines) == sorted(map(str, out.glob("*.h5")))
    for path in out.glob("*.h5"):
        verify_stack(path)
    assert not list(out.glob("*.part"))


@pytest.fixture
def dask_cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.mark.filterwarnings("default")  # Dask warns of its own use of resources
def test_a_dask_worker_that_dies_loses_nothing(
    tmp_path: Path, videos: Path, dask_cluster: Any
) -> None:
    out = tmp_path / "out"
    victim = next(iter(dask_cluster.workers.values())).pid

    def kill_one() -> None:
        until = time.monotonic() + 60
        while len(list(out.glob("*.h5"))) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        psutil.Process(victim).kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    check(videos, out, backend="dask", scheduler=dask_cluster.scheduler_address)
    killer.join()
    assert not psutil.pid_exists(victim)


@pytest.mark.filterwarnings("default")  # Ray warns of its future changes
def test_a_ray_cluster_extracts_everything(tmp_path: Path, videos: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    check(videos, tmp_path / "out", backend="ray")
