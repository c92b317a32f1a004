"""Shards are disjoint and balanced; segments give the same stack, byte by byte."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.extract import (
    ExtractSettings,
    Job,
    RunOptions,
    Shard,
    extract,
    plan,
    schedule,
    worker,
)
from flowstream.extract.schedule import count_segments, select_shard, split_job
from flowstream.extract.work import Ticket
from flowstream.flow.camera import Stabiliser
from flowstream.flow.dis import DIS
from flowstream.store import verify_stack
from flowstream.store.joining import join_stacks
from flowstream.video import Sampling, Span

SETTINGS = ExtractSettings(DIS(preset="ultrafast"))
LENGTHS = st.lists(st.integers(0, 5000), min_size=1, max_size=60)


def make_jobs(count: int) -> list[Job]:
    return [Job(Path(f"{k}.mp4"), Path(f"out/{k}.h5"), f"{k}.mp4") for k in range(count)]


@given(LENGTHS, st.integers(1, 9))
def test_shards_are_disjoint_complete_and_balanced(lengths: list[int], count: int) -> None:
    jobs = make_jobs(len(lengths))
    shards = [select_shard(jobs, lengths, Shard(k + 1, count)) for k in range(count)]
    assert sorted(k for shard in shards for k in shard) == list(range(len(jobs)))
    totals = [sum(max(1, lengths[k]) for k in shard) for shard in shards]
    assert max(totals) - min(totals) <= max(1, *lengths)


def test_more_shards_than_videos_cost_nothing() -> None:
    jobs = make_jobs(3)
    chosen = [select_shard(jobs, [5, 9, 1], Shard(k, 10**9)) for k in (1, 2, 3, 4, 10**9)]
    assert chosen == [[1], [0], [2], [], []]


@given(st.integers(1, 10**6), st.integers(1, 64), st.integers(1, 5))
def test_segments_cover_a_video_and_share_one_frame(pairs: int, workers: int, step: int) -> None:
    settings = dataclasses.replace(SETTINGS, sampling=Sampling(step=step))
    ticket = Ticket(make_jobs(1)[0])
    (count,) = count_segments([pairs], workers=workers)
    tickets = split_job(ticket, pairs, count=count, settings=settings)
    spans = [one.job.part for one in tickets]
    if not spans:
        return
    assert len(spans) <= 4 * workers
    assert isinstance(spans[-1], Span)
    assert spans[-1].end is None
    for before, after in pairwise(spans):
        assert isinstance(before, Span)
        assert isinstance(after, Span)
        assert before.end == after.start + 1
        assert after.start % step == 0


def test_long_videos_and_the_last_are_split() -> None:
    assert count_segments([64], workers=8) == [2]  # all workers wait for it
    assert count_segments([10**6], workers=1) == [1]
    assert count_segments([10**6], workers=8) == [32]
    assert count_segments([3000] * 1000, workers=8) == [1] * 1000
    assert count_segments([20] * 9, workers=2) == [1] * 9
    # a fair share is 620 pairs: at most 155 in a segment, and 32 in a segment of the last videos
    assert count_segments([600, 150, 140, 130, 120, 100], workers=2) == [4, 1, 1, 1, 4, 4]
    # of 775 pairs, half; with that many videos only the longest and the last need it
    assert count_segments([500, *[150] * 7], workers=2) == [2, 4, 4, 1, 1, 1, 1, 1]


def test_parts_and_resampled_videos_are_not_split() -> None:
    job = make_jobs(1)[0]
    part = dataclasses.replace(job, part=Span(0, 10**6))
    resampled = dataclasses.replace(SETTINGS, sampling=Sampling(fps=5))
    assert split_job(Ticket(part), 10**6, count=8, settings=SETTINGS) == []
    assert split_job(Ticket(job), 10**6, count=8, settings=resampled) == []
    assert split_job(Ticket(job), 3, count=8, settings=SETTINGS) == []
    assert len(split_job(Ticket(job), 10**6, count=8, settings=SETTINGS)) == 8


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sampling": Sampling(step=2)},
        {
            "backward": True,
            "outputs": ("consistency",),
            "stabilise": Stabiliser(),
            "max_corrupt": 1,
        },
        {"rgb": False},
    ],
)
def test_a_split_video_becomes_the_same_file(
    tmp_path: Path,
    make_clip: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
) -> None:
    monkeypatch.setattr(schedule, "MIN_SEGMENT_PAIRS", 4)
    joined: list[int] = []

    def join(segments: list[Path], *arguments: Any, **options: Any) -> Any:
        joined.append(len(segments))
        return join_stacks(segments, *arguments, **options)

    monkeypatch.setattr(worker, "join_stacks", join)
    clip = make_clip(tmp_path / "clip.mp4", frames=23, size=(48, 64))
    settings = dataclasses.replace(SETTINGS, **change)
    files = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        options = RunOptions(workers=workers, backend="sequential")
        summary = extract(plan([clip], out), settings, out, options=options)
        assert [outcome.error for outcome in summary.failed] == []
        assert {path.name for path in out.iterdir()} == {"clip.h5", "extract.jsonl"}
        verify_stack(out / "clip.h5")
        files.append((out / "clip.h5").read_bytes())
    assert files[0] == files[1]
    assert len(joined) == 1
    assert joined[0] > 2


def test_a_split_video_that_fails_fails_as_a_whole(
    tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "MIN_SEGMENT_PAIRS", 4)
    clip = make_clip(tmp_path / "clip.avi", frames=60, size=(48, 64))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    errors = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        options = RunOptions(workers=workers, backend="sequential")
        [failed] = extract(plan([clip], out), SETTINGS, out, options=options).failed
        errors.append(failed.error)
        assert [path.name for path in out.iterdir()] == ["extract.jsonl"]
    assert errors[0] == errors[1]
