"""Complete stacks are skipped; damaged and outdated ones are made again."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flowstream.extract.resume as module
from flowstream.codec.centred8 import Centred8
from flowstream.errors import ExtractionError
from flowstream.extract import ExtractSettings, Job, RunOptions, Shard, Summary, extract, plan
from flowstream.extract.comparison import settings_digest
from flowstream.extract.directory import hold_directory
from flowstream.flow.camera import Stabiliser
from flowstream.flow.dis import DIS
from flowstream.flow.farneback import Farneback
from flowstream.plugins import provenance
from flowstream.store import verify_stack
from flowstream.video import Sampling

SETTINGS = ExtractSettings(DIS(preset="ultrafast"))
MakeClip = Callable[..., Path]


@pytest.fixture
def job(tmp_path: Path, make_clip: MakeClip) -> Job:
    make_clip(tmp_path / "videos/clip.mp4")
    [job] = plan([tmp_path / "videos"], tmp_path / "out")
    assert len(run(job).done) == 1
    return job


def run(job: Job, settings: ExtractSettings = SETTINGS, **options: Any) -> Summary:
    return extract(
        [job], settings, job.output.parent, options=RunOptions(backend="sequential", **options)
    )


def test_a_complete_stack_is_skipped(job: Job) -> None:
    [outcome] = run(job).skipped
    assert (outcome.frames, outcome.pairs) == (5, 4)
    assert outcome.bytes == job.output.stat().st_size


def test_the_journal_is_enough_to_skip(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(module, "open_stack", refuse)
    assert len(run(job).skipped) == 1


def test_without_a_journal_the_stack_itself_is_enough(job: Job) -> None:
    journal = job.output.parent / "extract.jsonl"
    journal.unlink()
    assert len(run(job).skipped) == 1
    assert len(journal.read_text().splitlines()) == 1, "recorded for the next run"
    assert len(run(job).skipped) == 1
    assert len(journal.read_text().splitlines()) == 1


def test_options_that_change_no_result_are_not_differences(job: Job) -> None:
    other = dataclasses.replace(SETTINGS, allow_truncated=True, max_corrupt=3)
    assert len(run(job, other).skipped) == 1


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"method": DIS(preset="fast")}, ("method.preset", "'ultrafast'", "'fast'")),
        ({"method": Farneback()}, ("method.name", "'dis'", "'farneback'")),
        ({"sampling": Sampling(step=2)}, ("sampling.step", "1", "2")),
        ({"sampling": Sampling(size=(32, 48))}, ("sampling.size",)),
        ({"codec": Centred8(bound=15)}, ("codec.bound", "20.0", "15")),
        ({"compression": "gzip"}, ("compression", "'lz4hc'", "'gzip'")),
        ({"rgb": False}, ("rgb", "True", "False")),
        ({"jpeg_quality": 50}, ("jpeg_quality", "95", "50")),
        ({"backward": True}, ("backward", "False", "True")),
        ({"outputs": ("consistency",)}, ("consistency", "False", "True")),
        ({"stabilise": Stabiliser()}, ("stabiliser.name", "'homography'")),
    ],
)
def test_other_settings_are_refused_with_what_differs_unless_overwritten(
    job: Job, change: dict[str, Any], facts: tuple[str, ...]
) -> None:
    settings = dataclasses.replace(SETTINGS, **change)
    assert settings_digest(settings) != settings_digest(SETTINGS)
    with pytest.raises(ExtractionError) as caught:
        run(job, settings)
    for fact in (str(job.output), "--overwrite", *facts):
        assert fact in str(caught.value)
    assert len(run(job, settings, overwrite=True).done) == 1


@pytest.mark.parametrize("damage", ["truncated", "notes", "empty"])
def test_a_damaged_stack_is_made_again_by_itself(job: Job, damage: str) -> None:
    before = job.output.read_bytes()
    spoilt = {"truncated": before[:-100], "notes": b"my notes", "empty": b""}[damage]
    job.output.write_bytes(spoilt)
    assert len(run(job).done) == 1
    assert job.output.read_bytes() == before
    assert not list(job.output.parent.glob("*.damaged"))


def test_a_damaged_stack_is_kept_until_its_successor_is_complete(job: Job) -> None:
    job.output.write_bytes(b"my notes")
    kept = job.source.read_bytes()
    job.source.write_bytes(kept[: len(kept) // 2])
    assert len(run(job).failed) == 1
    damaged = job.output.with_name("clip.h5.damaged")
    assert damaged.read_bytes() == b"my notes"
    assert not job.output.exists()
    job.source.write_bytes(kept)
    assert len(run(job).done) == 1
    assert not damaged.exists()


def test_verification_finds_a_flipped_byte_that_a_plain_run_does_not_look_for(job: Job) -> None:
    content, times = bytearray(job.output.read_bytes()), job.output.stat()
    content[len(content) // 2] ^= 1
    job.output.write_bytes(content)
    os.utime(job.output, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert len(run(job).skipped) == 1
    assert len(run(job, verify=True).done) == 1
    verify_stack(job.output)


@pytest.mark.parametrize("same_size", [True, False])
def test_a_video_that_changed_is_extracted_again(
    job: Job, make_clip: MakeClip, same_size: bool
) -> None:
    if same_size:
        os.utime(job.source, ns=(1, 1))
    else:
        make_clip(job.source, frames=9, seed=1)
    assert len(run(job).done) == 1
    assert len(run(job).skipped) == 1


def test_a_new_modification_time_can_be_accepted(job: Job, make_clip: MakeClip) -> None:
    os.utime(job.source, ns=(1, 1))
    assert len(run(job, trust_sources=True).skipped) == 1
    make_clip(job.source, frames=9, seed=1)
    assert len(run(job, trust_sources=True).done) == 1, "another size is another video"


def test_another_video_in_its_place_is_refused(job: Job) -> None:
    (job.output.parent / "extract.jsonl").unlink()
    other = dataclasses.replace(job, name="clip.avi")
    with pytest.raises(ExtractionError, match=r"source: .*'clip\.mp4'.*'clip\.avi'"):
        run(other)


def at(path: Path, out: Path) -> Job:
    [job] = plan([path], out)
    return job


@pytest.mark.parametrize("damaged", [False, True])
def test_a_stack_is_not_replaced_by_that_of_another_video(
    job: Job, tmp_path: Path, make_clip: MakeClip, damaged: bool
) -> None:
    other = at(make_clip(tmp_path / "other/clip.mp4", frames=7, seed=1), job.output.parent)
    if damaged:
        job.output.write_bytes(b"")
    before = job.output.read_bytes()
    with pytest.raises(ExtractionError, match=r"the stack of .*videos/clip\.mp4, and .*--out") as e:
        run(other)
    assert "\n" not in str(e.value)
    assert job.output.read_bytes() == before
    assert len(run(other, overwrite=True).done) == 1


def test_a_video_with_the_same_relative_path_is_another_one(
    tmp_path: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("a", "b")):
        make_clip(tmp_path / name / "clip.mp4", frames=5 + seed, seed=seed)
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path / "a")
    assert len(run(at(Path("clip.mp4"), out)).done) == 1
    monkeypatch.chdir(tmp_path / "b")
    with pytest.raises(ExtractionError, match=r"the stack of .*a/clip\.mp4, and clip.mp4 would"):
        run(at(Path("clip.mp4"), out))
    (tmp_path / "a").rename(tmp_path / "c")
    assert len(run(at(Path("clip.mp4"), out)).done) == 1


def test_videos_that_were_moved_linked_or_copied_are_the_same(
    job: Job, tmp_path: Path, make_clip: MakeClip
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "videos")
    linked = at(tmp_path / "link/clip.mp4", job.output.parent)
    assert len(run(linked).skipped) == 1
    shutil.copytree(tmp_path / "videos", tmp_path / "copies")  # keeps times
    assert len(run(at(tmp_path / "copies/clip.mp4", job.output.parent)).skipped) == 1
    os.utime(job.source, ns=(1, 1))
    assert len(run(linked).done) == 1, "the same file, modified"
    (tmp_path / "videos").rename(tmp_path / "moved")
    moved = at(make_clip(tmp_path / "moved/clip.mp4", frames=7), job.output.parent)
    assert len(run(moved).done) == 1, "the old path does not exist any more"


OTHER = dataclasses.replace(SETTINGS, sampling=Sampling(step=2))


@pytest.mark.parametrize(
    "options", [{}, {"shard": Shard(1, 2)}, {"shard": Shard(2, 2)}, {"retry_failed": True}]
)
def test_every_run_is_compared_with_all_stacks_of_the_directory(
    tmp_path: Path, make_clip: MakeClip, options: dict[str, Any]
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    make_clip(videos / "a.mp4")
    (videos / "bad.mp4").write_text("no video")
    first = RunOptions(backend="sequential")
    assert len(extract(plan([videos], out), SETTINGS, out, options=first).done) == 1
    for name in ("b", "c"):
        make_clip(videos / f"{name}.mp4", seed=ord(name))
    jobs = [job for job in plan([videos], out) if job.source.stem != "a"]
    again = dataclasses.replace(first, **options)
    with pytest.raises(ExtractionError, match=r"1 existing stacks .*other settings") as caught:
        extract(jobs, OTHER, out, options=again)
    assert "sampling.step: stored: 1, requested: 2" in str(caught.value)
    assert sorted(path.name for path in out.iterdir()) == ["a.h5", "extract.jsonl"]
    same = dataclasses.replace(SETTINGS, max_corrupt=3)  # changes no stack
    extract(jobs, same, out, options=again)
    (out / "a.h5").unlink()
    for path in out.glob("*.h5"):
        path.unlink()
    extract(jobs, OTHER, out, options=again)  # the records of removed stacks do not count


def test_a_shard_is_refused_while_one_with_other_settings_runs(job: Job) -> None:
    out = job.output.parent
    job.output.unlink()
    with hold_directory(out, Shard(1, 2)) as held:
        held.journal.append_settings(provenance(SETTINGS))
        with pytest.raises(ExtractionError, match=r"shard 1/2 is running with other .*") as caught:
            run(job, OTHER, shard=Shard(2, 2))
        assert "sampling.step: running: 1, requested: 2" in str(caught.value)
        run(job, shard=Shard(2, 2))
    assert "run_settings" not in (out / "extract.jsonl").read_text()
    assert len(run(job, OTHER, shard=Shard(1, 2)).done) == 1, "the other one has ended"


def test_a_removed_video_fails_alone(job: Job) -> None:
    job.source.unlink()
    assert len(run(job).failed) == 1


def test_only_failed_videos_are_retried_and_attempts_are_counted(
    tmp_path: Path, make_clip: MakeClip
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    make_clip(videos / "good.mp4")
    (videos / "bad.mp4").write_text("no video")
    jobs = plan([videos], out)
    sequential = RunOptions(backend="sequential")
    [failed] = extract(jobs, SETTINGS, out, options=sequential).failed
    assert failed.attempt == 1
    (out / "good.h5").unlink()
    again = extract(jobs, SETTINGS, out, options=dataclasses.replace(sequential, retry_failed=True))
    assert (len(again.done), [one.attempt for one in again.failed]) == (0, [2])
    make_clip(videos / "bad.mp4")
    [done] = extract(
        jobs, SETTINGS, out, options=dataclasses.replace(sequential, retry_failed=True)
    ).done
    assert (done.source, done.attempt) == (str(videos / "bad.mp4"), 3)
