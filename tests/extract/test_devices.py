"""Several devices: each worker computes on one of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from flowstream.errors import ParameterError
from flowstream.extract import ExtractSettings, RunOptions, extract, plan
from flowstream.extract.devices import on_device
from flowstream.flow import FlowMethod
from flowstream.flow.dis import DIS
from flowstream.flow.tvl1 import TVL1
from flowstream.store import verify_stack
from flowstream.types import Images, Vectors

SEEN: list[str] = []


@dataclass(frozen=True)
class Telling(FlowMethod):
    """Tells where it computes."""

    name: ClassVar[str] = "telling"
    device: str = dataclasses.field(default="cpu", compare=False)

    def estimate(self, first: Images, second: Images) -> Vectors:
        SEEN.append(self.device)
        return np.zeros((len(first), 2, *first.shape[1:]), np.float32)


def test_a_method_moves_to_a_device() -> None:
    assert on_device(Telling(), "cuda:1").device == "cuda:1"
    assert on_device(Telling(), "cuda:1") == Telling()


def test_a_method_without_a_choice_says_so() -> None:
    with pytest.raises(ParameterError, match="flow method 'dis' computes only on the CPU"):
        on_device(DIS(), "cuda:0")


def test_a_device_that_is_not_there_is_refused_before_any_work(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    jobs = plan([make_clip(tmp_path / "clip.mp4")], tmp_path / "out")
    settings = ExtractSettings(TVL1())
    with pytest.raises(ParameterError, match="cuda:99"):
        extract(jobs, settings, tmp_path / "out", options=RunOptions(devices=("cpu", "cuda:99")))
    assert not jobs[0].output.exists()


def test_a_run_computes_on_the_devices_it_is_given(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    SEEN.clear()
    clips = [make_clip(tmp_path / "in" / name) for name in ("a.mp4", "b.mp4")]
    jobs = plan([clips[0].parent], tmp_path / "out")
    summary = extract(
        jobs,
        ExtractSettings(Telling()),
        tmp_path / "out",
        options=RunOptions(devices=("cuda:7",), backend="sequential"),
    )
    assert len(summary.done) == 2
    assert set(SEEN) == {"cuda:7"}


def test_two_workers_on_two_devices_extract_everything(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    for k in range(4):
        make_clip(tmp_path / f"in/{k}.mp4", seed=k)
    jobs = plan([tmp_path / "in"], tmp_path / "out")
    settings = ExtractSettings(TVL1(preset="fast"), backward=True, outputs=("consistency",))
    summary = extract(jobs, settings, tmp_path / "out", options=RunOptions(devices=("cpu", "cpu")))
    assert [outcome.error for outcome in summary.failed] == []
    assert len(summary.done) == 4
    for job in jobs:
        verify_stack(job.output)


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_cluster_assigns_its_devices_itself(backend: str) -> None:
    with pytest.raises(ParameterError, match="a cluster assigns devices itself; got cpu"):
        RunOptions(devices=("cpu",), backend=backend)
