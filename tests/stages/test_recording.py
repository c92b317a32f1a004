"""Recording of a live source: its length, and sources that give no frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flowstream.errors import VideoError
from flowstream.stages.recording import record
from flowstream.video import count_frames


class Source:
    """Stream that ends after some frames."""

    def __init__(self, frames: int) -> None:
        self.left = frames

    def isOpened(self) -> bool:
        return True

    def get(self, _: int) -> float:
        return 10.0

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return self.left >= 0, np.zeros((32, 48, 3), np.uint8)

    def release(self) -> None: ...


@pytest.mark.parametrize(("frames", "seconds", "recorded"), [(9, 0.5, 5), (3, 0.5, 3)])
def test_a_recording_has_the_asked_length_or_that_of_the_source(
    frames: int, seconds: float, recorded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: Source(frames))
    path = record("http://127.0.0.1/stream", tmp_path / "stream.mkv", seconds=seconds)
    assert count_frames(path) == recorded


@pytest.mark.parametrize("frames", [0, 1])
def test_a_stream_without_frames_is_named(
    frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: Source(frames))
    with pytest.raises(VideoError, match=f"http://127.0.0.1/stream: got {frames} frames"):
        record("http://127.0.0.1/stream", tmp_path / "stream.mkv", seconds=1.0)
