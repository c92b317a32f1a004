"""Real videos: counts, times and luma."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import pytest

from flowstream.types import Images
from flowstream.video import Sampling, count_frames, probe, read_frames


def clips(shared_data: Path, pattern: str, every: int = 1) -> list[Path]:
    found = sorted(shared_data.glob(pattern))
    assert found, f"nothing matches {pattern}"
    return found[::every]


def test_headers_that_claim_one_frame_too_many_are_tolerated(shared_data: Path) -> None:
    for path in clips(shared_data, "traps/*.avi"):
        info = probe(path)
        frames = list(read_frames(path, rgb=True))
        assert info.header_frames == len(frames) + 1
        assert len(frames) in (72, 83)
        # packed B-frames, whose stored times go forth and back
        gaps = np.diff([frame.seconds for frame in frames])
        assert (gaps > 0).all()
        assert np.median(gaps) == pytest.approx(1 / 30)


def test_tags_that_are_not_utf8_stop_plain_pyav_but_not_this(shared_data: Path) -> None:
    refused = 0
    for path in clips(shared_data, "traps/*.avi"):
        try:
            av.open(str(path)).close()
        except UnicodeDecodeError:
            refused += 1
        assert count_frames(path) > 70
    assert refused == 1


def test_ucf101_clips_decode_whole(shared_data: Path) -> None:
    for path in clips(shared_data, "ucf101/videos/*/*.avi") + clips(
        shared_data, "ucf101/videos/*/*.mp4", every=9
    ):
        info = probe(path)
        frames = list(read_frames(path, Sampling(short_side=60)))
        assert len(frames) == info.header_frames
        gaps = np.diff([frame.seconds for frame in frames])
        assert gaps == pytest.approx(1 / info.fps, rel=1e-3)
        assert cast(Images, frames[0].luma).shape == (60, 80)


def test_luma_is_opencvs_grey_but_for_its_shortcut(shared_data: Path) -> None:
    for path in clips(shared_data, "ucf101/videos/*/*.mp4", every=30):
        capture = cv2.VideoCapture(str(path))
        for frame in read_frames(path, Sampling(step=1), rgb=True):
            image = capture.read()[1]
            if frame.index % 25:
                continue
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(int)
            # swscale, as VideoCapture calls it, darkens by a level; out-of-range colours clip in
            # RGB only
            assert abs((cast(Images, frame.luma) - grey).mean() - 1) < 0.5
            own = cv2.cvtColor(cast(Images, frame.rgb), cv2.COLOR_RGB2GRAY).astype(int)
            assert np.abs(cast(Images, frame.luma) - own).mean() < 0.5
        capture.release()


def test_frames_are_read_from_a_directory_of_frames_and_flow(shared_data: Path) -> None:
    path = shared_data / "rawframes"
    expected = len(list(path.glob("img_*.jpg")))
    assert len(list(path.glob("x_*.jpg"))) > 1  # else this test shows nothing
    assert len(list(read_frames(path))) == expected > 1
