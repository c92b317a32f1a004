"""Frames before a part are counted without decoding them, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.synthetic.files import write_video
from flowstream.video import Frame, Pair, Sampling, Span, read_frames
from flowstream.video import container as container_module

FRAMES = 60


def write(path: Path, codec: str = "libx264", **options: str) -> Path:
    rng = np.random.default_rng(1)
    texture = rng.integers(0, 256, (48, 64 + FRAMES, 3), np.uint8)
    frames = (np.ascontiguousarray(texture[:, k : k + 64]) for k in range(FRAMES))
    chosen = options if codec == "mjpeg" else {"g": "10", **options}
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return write_video(path, frames, fps=10, codec=codec, pixel_format=layout, options=chosen)


def same(found: list[Frame], expected: list[Frame]) -> bool:
    places = [[(frame.index, frame.seconds) for frame in frames] for frames in (found, expected)]
    pixels = [
        np.stack([np.asarray(frame.luma) for frame in frames]) for frames in (found, expected)
    ]
    return places[0] == places[1] and bool((pixels[0] == pixels[1]).all())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of packets that were decoded, one for each video that was read."""
    counts: list[int] = []
    original: Callable[..., Any] = container_module.VideoFile._decode

    def count(self: Any, packet: Any) -> Any:
        if not self.damage.packets:
            counts.append(0)
        counts[-1] += packet.size > 0
        return original(self, packet)

    monkeypatch.setattr(container_module.VideoFile, "_decode", count)
    return counts


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "libx264", {}),
        ("plain.mkv", "libx264", {"bf": "3"}),
        ("next.mp4", "libx265", {"x265-params": "keyint=10:min-keyint=10:open-gop=0:log-level=0"}),
        ("intra.mov", "mjpeg", {}),
        ("small.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
@pytest.mark.parametrize("part", [Span(33, 45), Span(4.5, 4.9, "seconds"), Pair(41, 47)], ids=str)
def test_a_part_has_the_same_frames_without_decoding_what_is_before(
    tmp_path: Path, decoded: list[int], name: str, codec: str, options: dict[str, str], part: Any
) -> None:
    path = write(tmp_path / name, codec, **options)
    whole = list(read_frames(path))
    expected = [frame for frame in whole if part.selects(frame)]
    decoded.clear()
    assert same(list(read_frames(path, part=part)), expected)
    # the first group, and those from the one before the part on
    assert decoded[0] <= 10 + 30


@pytest.mark.parametrize(
    "options",
    [
        {"x264-params": "open-gop=1:keyint=10:min-keyint=10:bframes=3"},
        {"x264-params": "intra-refresh=1:keyint=10"},
        {"g": "600"},
    ],
    ids=["open", "refresh", "one"],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_videos_without_safe_entry_points_are_decoded_from_the_start(
    tmp_path: Path, suffix: str, options: dict[str, str]
) -> None:
    path = write(tmp_path / f"x.{suffix}", **options)
    whole = list(read_frames(path))
    assert len(whole) == FRAMES
    assert same(list(read_frames(path, part=Span(37, 50))), whole[37:50])


def test_sampling_by_step_and_fps_is_the_same_in_a_part(tmp_path: Path, decoded: list[int]) -> None:
    path, span = write(tmp_path / "x.mp4"), Span(34, 55)
    for sampling in (Sampling(step=3), Sampling(fps=4)):
        decoded.clear()
        skipped = list(read_frames(path, sampling, part=span))
        plain = list(read_frames(path, sampling, part=span, max_corrupt=1))
        assert same(skipped, plain)
        assert decoded[0] < decoded[1]
