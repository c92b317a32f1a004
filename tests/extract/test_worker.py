"""One video to one stack."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from flowstream.codec.float32 import Float32
from flowstream.errors import FlowstreamError, StackError, VideoError
from flowstream.extract import ExtractSettings, Job
from flowstream.extract.work import Extraction, Ticket
from flowstream.extract.worker import attempt, extract_video, one_line
from flowstream.flow import FlowMethod
from flowstream.flow.dis import DIS
from flowstream.store import open_stack, verify_stack
from flowstream.types import Images, Vectors
from flowstream.video import Sampling, read_frames


@dataclass(frozen=True)
class Difference(FlowMethod):
    """Brightness changes in place of motion: each field shows which frames it came from."""

    name: ClassVar[str] = "difference"
    pairs: int = dataclasses.field(default=1, compare=False)

    @property
    def batch(self) -> int:
        return self.pairs

    def estimate(self, first: Images, second: Images) -> Vectors:
        assert 1 <= len(first) <= self.pairs, "never more pairs than the method likes"
        change = second.astype(np.float32) - first
        return np.stack([change, -change], axis=1)


@dataclass(frozen=True)
class ColourDifference(Difference):
    """The same, of the green channel."""

    colour: ClassVar[bool] = True

    def estimate(self, first: Images, second: Images) -> Vectors:
        return super().estimate(first[..., 1], second[..., 1])


def job(source: Path, folder: Path) -> Job:
    return Job(source, folder / "out" / "clip.h5", source.name)


@pytest.mark.parametrize("pairs", [1, 2, 3, 6, 7, 50])
def test_each_field_belongs_to_its_pair_for_any_batch(
    tmp_path: Path, make_clip: Callable[..., Path], pairs: int
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=8)
    frames = [frame.luma for frame in read_frames(clip)]
    settings = ExtractSettings(Difference(pairs=pairs), codec=Float32(), rgb=False)
    outcome, _ = extract_video(job(clip, tmp_path), settings)
    assert (outcome.frames, outcome.clipped) == (8, 0.0)
    with open_stack(tmp_path / "out/clip.h5") as stack:
        assert stack.num_fields == 7
        for index in range(7):
            change = frames[index + 1].astype(np.float32) - frames[index]  # type: ignore[union-attr, operator]
            np.testing.assert_array_equal(stack.field(index), [change, -change])


def test_a_colour_method_is_given_colour(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    green = [frame.rgb[..., 1] for frame in read_frames(clip, luma=False, rgb=True)]  # type: ignore[index]
    settings = ExtractSettings(ColourDifference(), codec=Float32(), rgb=False)
    extract_video(job(clip, tmp_path), settings)
    with open_stack(tmp_path / "out/clip.h5") as stack:
        np.testing.assert_array_equal(stack.field(0)[0], green[1].astype(np.float32) - green[0])
        assert not stack.has_rgb


def test_a_stack_records_where_it_comes_from(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(tmp_path / "walk/clip.mp4", frames=7, size=(32, 64))
    settings = ExtractSettings(DIS(), Sampling(step=2, short_side=16))
    this = Job(clip, tmp_path / "out/walk/clip.h5", "walk/clip.mp4")
    extract_video(this, settings)
    verify_stack(this.output)
    with open_stack(this.output) as stack:
        assert stack.header.source == "walk/clip.mp4"
        assert stack.header.source_modified == clip.stat().st_mtime_ns
        assert stack.header.jpeg_quality == settings.jpeg_quality
        assert stack.header.source_bytes == clip.stat().st_size
        assert stack.header.source_size == (32, 64)
        assert stack.size == (16, 32)
        assert stack.fps == 10
        assert stack.frame_index.tolist() == [0, 2, 4, 6]
        # 10 frames a second, in the container's clock
        np.testing.assert_allclose(stack.time, [0, 0.2, 0.4, 0.6], atol=1e-3)
        assert stack.rgb(3).shape == (16, 32, 3)


def test_an_outcome_describes_the_file(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10)
    counts: list[int] = []
    outcome = attempt(
        Ticket(job(clip, tmp_path)), ExtractSettings(DIS()), report=counts.append
    ).outcome
    assert (outcome.status, outcome.frames, outcome.pairs) == ("done", 10, 9)
    assert outcome.bytes == (tmp_path / "out/clip.h5").stat().st_size
    assert counts == [4, 8, 9]  # in batches
    with open_stack(tmp_path / "out/clip.h5") as stack:
        assert outcome.clipped == stack.header.clipped


def test_a_failed_video_leaves_no_file(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=40)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    outcome = attempt(Ticket(job(clip, tmp_path)), ExtractSettings(DIS())).outcome
    assert outcome.status == "failed"
    assert str(clip) in outcome.error
    assert "\n" not in outcome.error
    assert not list((tmp_path / "out").glob("*"))


def test_one_frame_gives_no_flow(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=5)
    with pytest.raises(VideoError, match="1 frame after sampling, expected at least 2"):
        extract_video(job(clip, tmp_path), ExtractSettings(DIS(), Sampling(step=5)))
    assert not list((tmp_path / "out").glob("*"))


def test_an_error_that_nobody_foresaw_is_an_outcome_with_its_kind(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4")

    @dataclass(frozen=True)
    class Failing(Difference):
        def estimate(self, first: Images, second: Images) -> Vectors:
            raise ZeroDivisionError("by\n  zero")

    outcome = attempt(Ticket(job(clip, tmp_path)), ExtractSettings(Failing())).outcome
    assert (outcome.status, outcome.error) == ("failed", "ZeroDivisionError: by zero")


def test_a_foreseen_error_needs_no_kind() -> None:
    assert one_line(FlowstreamError("clip.mp4: empty")) == "clip.mp4: empty"
    assert one_line(MemoryError()) == "MemoryError"


def test_opencv_uses_one_thread_during_extraction_only(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    seen: list[int] = []

    @dataclass(frozen=True)
    class Asking(Difference):
        def estimate(self, first: Images, second: Images) -> Vectors:
            seen.append(cv2.getNumThreads())
            return super().estimate(first, second)

    before = cv2.getNumThreads()
    result = Extraction(ExtractSettings(Asking()))(Ticket(job(clip, tmp_path)), lambda pairs: None)
    assert (result.outcome.status, seen) == ("done", [1])
    assert cv2.getNumThreads() == before


def test_a_video_that_changes_while_it_is_read_fails(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)

    @dataclass(frozen=True)
    class Touching(Difference):
        def estimate(self, first: Images, second: Images) -> Vectors:
            os.utime(clip, ns=(1, 1))
            return super().estimate(first, second)

    outcome = attempt(Ticket(job(clip, tmp_path)), ExtractSettings(Touching())).outcome
    assert (outcome.status, outcome.error) == (
        "failed",
        f"{clip}: the video changed while it was read",
    )
    assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_is_distinguished_from_a_bad_video(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3)

    @dataclass(frozen=True)
    class Full(Difference):
        def estimate(self, first: Images, second: Images) -> Vectors:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                raise StackError("out.h5: cannot write") from error

    result = attempt(Ticket(job(clip, tmp_path)), ExtractSettings(Full()))
    assert result.disk_error == "No space left on device"
    clip.write_text("no video")
    assert attempt(Ticket(job(clip, tmp_path)), ExtractSettings(DIS())).disk_error == ""
