"""Video files of many kinds: every frame in order, at its time, upright."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream

from flowstream import synthetic
from flowstream.errors import VideoError
from flowstream.types import Images
from flowstream.video import Sampling, count_frames, is_video, probe, read_frames

Film = Callable[..., Path]
Numbers = Callable[..., list[int]]

KINDS: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {"options": {"bf": "3", "b_strategy": "0"}},
    "no_b_frames.mp4": {"options": {"bf": "0"}},
    "b_frames.mkv": {},
    "plain.avi": {"codec": "mpeg4"},
    "b_frames.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264_b_frames.avi": {"options": {"bf": "3", "b_strategy": "0"}},
    "jpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "grey.mp4": {"pixel_format": "gray"},
    "grey.mkv": {"codec": "ffv1", "pixel_format": "gray"},
    "grey10.mkv": {"codec": "ffv1", "pixel_format": "gray10le"},
    "ten_bits.mp4": {"pixel_format": "yuv420p10le"},
    "lossless_rgb.mkv": {"codec": "ffv1", "pixel_format": "bgr0"},
    "stream.ts": {},
    "stream.mpg": {"codec": "mpeg2video"},
    "no_times.h264": {},
    "flash.flv": {},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "windows.wmv": {"codec": "wmv2"},
    "ntsc.mp4": {"fps": 30000 / 1001},
    "name:with:colons.mp4": {},
    "näme mit 100%d.mp4": {},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_comes_once_in_order_at_its_time(
    film: Film, numbers: Numbers, name: str
) -> None:
    options = KINDS[name]
    path = film(name, **options)
    fps = options.get("fps", 25.0)
    assert numbers(path) == list(range(20))
    assert count_frames(path) == 20
    frames = list(read_frames(path, luma=False))
    assert [frame.index for frame in frames] == list(range(20))
    # half a millisecond is what Matroska rounds to; the MPEG muxer delays the last frame by one
    seconds = [frame.seconds for frame in frames]
    assert seconds[:-1] == pytest.approx([index / fps for index in range(19)], abs=6e-4)
    assert seconds[-2] < seconds[-1] <= 20 / fps + 1e-9
    info = probe(path)
    assert (info.rows, info.columns, info.rotation) == (32, 48, 0)
    assert info.fps == pytest.approx(fps)
    assert info.header_frames in (20, None)
    assert not info.variable
    assert is_video(path)


def test_a_frame_holds_what_is_asked_for_and_luma_does_not_depend_on_rgb(film: Film) -> None:
    path = film("plain.mp4", 3)
    luma, both, colour, neither = (
        next(iter(read_frames(path, luma=luma, rgb=rgb)))
        for luma, rgb in ((True, False), (True, True), (False, True), (False, False))
    )
    assert luma.luma is not None
    assert luma.luma.shape == (32, 48)
    assert luma.rgb is None
    assert both.rgb is not None
    assert both.rgb.shape == (32, 48, 3)
    assert np.array_equal(cast(Images, both.luma), luma.luma)
    assert colour.luma is None
    assert np.array_equal(cast(Images, colour.rgb), both.rgb)
    assert neither.luma is None
    assert neither.rgb is None


def test_frames_are_resized_before_they_are_given(film: Film) -> None:
    path = film("plain.mp4", 2)
    for frame in read_frames(path, Sampling(short_side=16), rgb=True):
        assert cast(Images, frame.luma).shape == (16, 24)
        assert cast(Images, frame.rgb).shape == (16, 24, 3)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, -90])
def test_rotation_flags_turn_frames_and_sizes(tmp_path: Path, rotation: int) -> None:
    image = synthetic.texture((48, 64), seed=5)
    path = synthetic.write_video(tmp_path / "turned.mp4", [image] * 3, rotation=rotation)
    expected = np.rot90(image, rotation // 90)
    info = probe(path)
    assert (info.rows, info.columns) == expected.shape
    assert info.rotation == rotation % 360
    small = Sampling(size=(expected.shape[0] // 2, expected.shape[1] // 2))
    for frame in read_frames(path):
        # what near-lossless H.264 and two roundings cost; any other orientation is 30 levels off
        assert np.abs(cast(Images, frame.luma).astype(int) - expected).mean() < 2
    for frame in read_frames(path, small):
        assert cast(Images, frame.luma).shape == small.size
    capture = cv2.VideoCapture(str(path))  # turns frames too
    opencv = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY)
    capture.release()
    assert np.abs(opencv.astype(int) - expected).mean() < 3


def test_a_mirrored_display_is_mirrored(tmp_path: Path) -> None:
    image = synthetic.texture((48, 64), seed=6)
    path = tmp_path / "mirrored.mp4"
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream("libx264", rate=25))
        stream.height, stream.width = image.shape
        stream.codec_context.options = {"crf": "10"}
        stream.set_display_rotation(90, hflip=True)
        picture = av.VideoFrame.from_ndarray(image, format="gray").reformat(format="yuv420p")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    (frame,) = read_frames(path)
    assert np.abs(cast(Images, frame.luma).astype(int) - np.rot90(image)[:, ::-1]).mean() < 3


@pytest.mark.parametrize("layout", ["yuv444p", "gray"])
def test_odd_sizes_keep_every_row_and_column(tmp_path: Path, layout: str) -> None:
    image = synthetic.texture((47, 61), seed=7)
    path = synthetic.write_video(tmp_path / "odd.mp4", [image] * 3, pixel_format=layout)
    for frame in read_frames(path):
        assert np.abs(cast(Images, frame.luma).astype(int) - image).mean() < 2


def test_tags_that_are_not_utf8_do_no_harm(film: Film, numbers: Numbers) -> None:
    path = film("tagged.avi", codec="mpeg4", metadata={"title": "PLACEHOLDER"})
    content = path.read_bytes()
    assert b"PLACEHOLDER" in content
    path.write_bytes(content.replace(b"PLACEHOLDER", b"caf\xe9 \xff\xfe   "))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))  # else this test shows nothing
    assert numbers(path) == list(range(20))


def peak_memory(path: Path, sampling: Sampling) -> int:
    tracemalloc.start()
    for _ in read_frames(path, sampling, rgb=True):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(fps=30.0)])
def test_memory_does_not_grow_with_the_length_of_a_video(film: Film, sampling: Sampling) -> None:
    short, long = (film(f"{count}.mp4", count, codec="mpeg4") for count in (50, 1000))
    peak_memory(short, sampling)  # the first run fills caches
    frame = 4 * 32 * 48
    # 20 frames for what a run varies by; what is to be shown absent are 950
    assert peak_memory(long, sampling) < peak_memory(short, sampling) + 20 * frame


def test_decoded_frames_are_freed_without_the_garbage_collector(film: Film) -> None:
    path = film("plain.mp4", 60)
    gc.collect()
    gc.disable()
    try:
        for frame in read_frames(path, rgb=True):
            if frame.index == 50:
                alive = [item for item in gc.get_objects() if type(item) is av.VideoFrame]
    finally:
        gc.enable()
    # the first, which was asked for its orientation, the one just given, and the next
    assert len(alive) <= 3


def open_files(path: Path) -> int:
    folder = Path("/proc/self/fd")
    links = [os.readlink(link) for link in folder.iterdir() if link.is_symlink()]
    return links.count(str(path))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")
def test_a_reader_that_stops_early_leaves_no_file_open(film: Film) -> None:
    path = film("plain.mp4")
    frames = read_frames(path)
    next(frames)
    assert open_files(path) == 1
    del frames
    gc.collect()
    assert open_files(path) == 0
    frames = read_frames(path)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert open_files(path) == 0
    probe(path)
    assert open_files(path) == 0


def test_a_change_of_size_on_the_way_is_an_error_that_says_where(tmp_path: Path) -> None:
    parts = []
    for columns in (48, 64):
        frames = [np.full((32, columns), 100, np.uint8)] * 5
        parts.append(synthetic.write_video(tmp_path / f"{columns}.h264", frames).read_bytes())
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(parts))
    with pytest.raises(VideoError, match=r"frame 5 is 64x32, those before it 48x32"):
        list(read_frames(path))


def test_a_path_may_be_text_or_path_and_is_a_video_by_its_suffix(film: Film) -> None:
    path = film("plain.mp4", 2)
    assert count_frames(str(path)) == count_frames(path) == 2
    assert is_video("A/B.AVI")
    assert not is_video("notes.txt")
    assert not is_video("frame_0001.png")
