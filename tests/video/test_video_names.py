"""Names: which files are videos, and what the names of images say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from flowstream.video import VIDEO_SUFFIXES, Sampling, is_video, open_video, why_not_video
from flowstream.video.image_names import find_sequence, read_times

Film = Callable[..., Path]

OFTEN = [".mxf", ".m2v", ".mjpeg", ".qt", ".f4v", ".h265", ".dv", ".3g2", ".mpg", ".ogv", ".mts"]


@pytest.mark.parametrize("suffix", OFTEN)
def test_suffixes_of_ffmpeg_are_videos(suffix: str) -> None:
    assert suffix in VIDEO_SUFFIXES


def test_a_file_of_unknown_suffix_is_judged_by_its_content(film: Film, tmp_path: Path) -> None:
    hidden = film("film.mp4").rename(tmp_path / "film.unknown")
    bare = film("film.mkv").rename(tmp_path / "film")
    assert is_video(hidden)
    assert is_video(bare)
    noise = tmp_path / "noise.bin"
    noise.write_bytes(np.random.default_rng(0).bytes(2000))
    assert "not a video" in (why_not_video(noise) or "")
    notes = tmp_path / "notes.txt"
    notes.write_text("text")
    assert ".txt" in (why_not_video(notes) or "")
    assert why_not_video(tmp_path / "frame.png") == "a single image"
    assert why_not_video(tmp_path / "nowhere.unknown") is not None


@pytest.mark.parametrize(
    ("numbers", "seconds"),
    [
        ([1403636579763555584, 1403636579813555456, 1403636579863555584], [0, 0.05, 0.1]),
        ([1700000000000, 1700000000040, 1700000000080], [0, 0.04, 0.08]),
        ([1700000000, 1700000001, 1700000003], [0, 1, 3]),
        ([20240101115959, 20240101120000, 20240101120001], [0, 1, 2]),
        ([4123456789, 4156789012, 4190012345], [0, 0.033332, 0.066556]),
    ],
)
def test_names_that_are_times_give_times(numbers: list[int], seconds: list[float]) -> None:
    assert read_times(numbers) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("numbers", [[1, 2, 3], [0, 5, 10], [100, 101, 107], [1001, 1003], [7]])
def test_names_that_are_frame_numbers_give_none(numbers: list[int]) -> None:
    assert read_times(numbers) is None


@pytest.mark.parametrize("form", ["{}", "cam_{}", "{:.6f}"])
def test_a_directory_named_by_times_is_whole_and_can_be_resampled(
    tmp_path: Path, form: str
) -> None:
    times = [1403636579.7 + 0.05 * index for index in range(10)]
    for time in times:
        stamp = time if "f" in form else round(time * 1e9)
        cv2.imwrite(str(tmp_path / f"{form.format(stamp)}.png"), np.zeros((8, 8), np.uint8))
    with open_video(tmp_path) as video:
        assert [frame.seconds for frame in video] == pytest.approx(
            [0.05 * index for index in range(10)], abs=1e-4
        )
        assert video.info.fps == pytest.approx(20, rel=1e-3)
        assert video.info.header_frames is None
    with open_video(tmp_path, Sampling(fps=10.0)) as video:
        assert [frame.index for frame in video] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (["2023-01-01_11-59-59", "2023-01-01_12-00-00", "2023-01-01_12-00-01"], [0, 1, 2]),
        (["IMG_20230101_115959", "IMG_20230101_120000", "IMG_20230101_120001"], [0, 1, 2]),
        (["2023-01-01T12-00-00.960", "2023-01-01T12-00-01.000", "2023-01-01T12-00-01.040"],
         [0, 0.04, 0.08]),
        (["20230101_120000_960", "20230101_120001_000", "20230101_120001_040"], [0, 0.04, 0.08]),
        # counters behind a date or a time
        (["clip_20230101_000001", "clip_20230101_000002", "clip_20230101_000003"], None),
        (["20230101_120000_0001", "20230101_120000_0002", "20230101_120000_0003"], None),
        (["0001_rgb", "0002_rgb", "0010_rgb"], None),
        (["frame (1)", "frame (2)", "frame (10)"], None),
    ],
)  # fmt: skip
def test_names_of_cameras_are_dates_or_numbers(
    tmp_path: Path, names: list[str], seconds: list[float] | None
) -> None:
    for name in reversed(names):
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "cover.png").touch()
    found = find_sequence(tmp_path)
    assert [file.stem for file in found.files] == names
    assert found.times == (None if seconds is None else pytest.approx(seconds))
    assert [file.name for file in found.skipped] == ["cover.png"]


def test_suffixes_in_upper_and_lower_case_are_one_sequence(tmp_path: Path) -> None:
    for name in ("1.png", "2.PNG", "3.png", "3_mask.png"):
        (tmp_path / name).touch()
    found = find_sequence(tmp_path)
    assert [file.name for file in found.files] == ["1.png", "2.PNG", "3.png"]
    assert [file.name for file in found.skipped] == ["3_mask.png"]
