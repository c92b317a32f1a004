"""Videos that were refused, accepted or misread by mistake: the shared inputs, and their like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from flowstream import METHODS
from flowstream.errors import DamagedVideoError, VideoError
from flowstream.types import Images
from flowstream.video import Sampling, open_video, probe, read_frames

Film = Callable[..., Path]


@pytest.fixture
def faults(shared_data: Path) -> Path:
    return shared_data / "faults"


# --- the shared inputs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "frames", "fps"),
    [
        ("vfr_hold.mkv", 20, 10.0),
        ("opengop_noeditlist.mp4", 42, 30.0),
        ("timelapse.mkv", 30, 25.0),
        ("ts_jump30s.ts", 60, 30.0),
        ("repeated_stamps25.mkv", 60, 25.0),
        ("rpicam600.avi", 20, 5.0),
    ],
)
def test_good_videos_are_read_whole_at_their_rate(
    faults: Path, name: str, frames: int, fps: float
) -> None:
    with open_video(faults / "video" / name) as video:
        read = list(video)
        assert len(read) == frames
        assert video.info.fps == pytest.approx(fps)
        assert video.corrupt == ()
    assert not any(frame.is_corrupt for frame in read)
    assert (np.diff([frame.seconds for frame in read]) > 0).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("e_flip1_082.mkv", "1 of 50 frames are corrupted .*frame 0.* --max-corrupt 1"),
        ("f_trunc_098.ts", "truncated after 25 frames: .*--allow-truncated"),
        ("j_trunc_173.gif", "truncated after 4 frames: the end of the GIF is missing"),
        ("f_flip500_104.ts", "40 of 44 frames are corrupted"),
    ],
)
def test_damaged_videos_fail_with_one_line(faults: Path, name: str, message: str) -> None:
    with pytest.raises(DamagedVideoError, match=message) as caught:
        list(read_frames(faults / "video" / name))
    assert "\n" not in str(caught.value)


def test_corrupted_frames_are_accepted_and_listed_on_request(faults: Path) -> None:
    with open_video(faults / "video" / "e_flip1_082.mkv", max_corrupt=1) as video:
        frames = list(video)
        assert video.corrupt == (0,)
        assert any("1 of 50" in note for note in video.notes)
    assert [frame.index for frame in frames if frame.is_corrupt] == [0]
    assert len(list(read_frames(faults / "video" / "f_trunc_098.ts", allow_truncated=True))) == 25


def test_resampling_across_a_clock_jump_invents_nothing(faults: Path) -> None:
    path = faults / "video" / "ts_jump30s.ts"
    with open_video(path, Sampling(fps=30.0)) as video:
        assert [frame.index for frame in video] == list(range(60))
        assert any("+30 s at frame 30" in note for note in video.notes)


def test_repeated_stamps_do_not_drift(faults: Path) -> None:
    path = faults / "video" / "repeated_stamps25.mkv"
    assert [frame.seconds for frame in read_frames(path)][-1] == pytest.approx(1.8)
    assert len(list(read_frames(path, Sampling(fps=25.0)))) == 46


def test_the_default_stream_is_read_and_any_other_on_request(faults: Path) -> None:
    path = faults / "video" / "preview_first_disp.mkv"
    info = probe(path)
    assert (info.columns, info.rows, info.stream, info.streams) == (160, 120, 1, 2)
    assert next(read_frames(path, Sampling(stream=0))).luma.shape == (36, 48)  # type: ignore[union-attr]
    with pytest.raises(VideoError, match=r"stream 7 is not a video stream.*: 0, 1"):
        next(read_frames(path, Sampling(stream=7)))


def mean_flow(path: Path, sampling: Sampling = Sampling()) -> tuple[float, float]:  # noqa: B008
    frames = [cast(Images, frame.luma) for frame in read_frames(path, sampling)]
    flow = METHODS["dis"]()(np.stack(frames[:-1]), np.stack(frames[1:]))
    dx, dy = np.median(flow, axis=(0, 2, 3))
    return float(dx), float(dy)


def test_thermal_counts_move_as_they_should(faults: Path) -> None:
    # a tenth of a pixel: the error of DIS on smooth textures
    assert mean_flow(faults / "thermal16") == pytest.approx((2, 1), abs=0.1)
    with open_video(faults / "thermal16") as video:
        low, high = map(float, video.depth_range.split(":"))
    assert 7000 < low < high < 8000
