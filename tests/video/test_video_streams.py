"""Which stream is read, with which range of values and which shape of pixels."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream

from flowstream import METHODS, synthetic
from flowstream.errors import VideoError
from flowstream.types import Images
from flowstream.video import Sampling, count_frames, open_video, probe, read_frames

Film = Callable[..., Path]


def mean_flow(path: Path, sampling: Sampling = Sampling()) -> tuple[float, float]:  # noqa: B008
    frames = [cast(Images, frame.luma) for frame in read_frames(path, sampling)]
    flow = METHODS["dis"]()(np.stack(frames[:-1]), np.stack(frames[1:]))
    dx, dy = np.median(flow, axis=(0, 2, 3))
    return float(dx), float(dy)


@pytest.mark.parametrize("name", ["deep.mkv", "images"])
def test_a_small_range_of_a_deep_video_is_stretched_once(tmp_path: Path, name: str) -> None:
    path = deep(tmp_path / name)
    assert mean_flow(path) == pytest.approx((2, 1), abs=0.1)
    with open_video(path) as video:
        frames = [cast(Images, frame.luma) for frame in video]
        assert any("values 30" in note for note in video.notes)
    assert min(map(np.min, frames)) == 0
    assert max(map(np.max, frames)) == 255
    full = next(read_frames(path, Sampling(depth_range="full"))).luma
    assert np.ptp(cast(Images, full)) < 4
    given = next(read_frames(path, Sampling(depth_range="3000:4020"), rgb=True))
    # four counts a level
    expected = np.rint(counts(0) / 4).astype(int)
    assert np.abs(cast(Images, given.luma).astype(int) - expected).max() <= 1
    assert np.array_equal(cast(Images, given.rgb)[..., 0], cast(Images, given.luma))


def counts(index: int) -> Any:
    drawn = synthetic.texture((120, 160), seed=3, contrast=40).astype(int)
    return np.roll(drawn, (index, 2 * index), (0, 1))


def deep(path: Path) -> Path:
    """Six frames of 16-bit counts from 3000 to 3255 that move by (2, 1)."""
    frames = [(3000 + counts(index)).astype(np.uint16) for index in range(6)]
    if path.suffix:
        with av.open(str(path), "w") as container:
            stream = cast(VideoStream, container.add_stream("ffv1", rate=25))
            stream.height, stream.width, stream.pix_fmt = 120, 160, "gray16le"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray16le")))
            container.mux(stream.encode(None))
        return path
    path.mkdir()
    for index, frame in enumerate(frames):
        assert cv2.imwrite(str(path / f"{index}.png"), frame)
    return path


def test_ten_bits_of_an_ordinary_video_are_not_stretched(film: Film) -> None:
    path = film("ten.mp4", pixel_format="yuv420p10le")
    with open_video(path) as video:
        assert video.info.bits == 10
        assert video.depth_range == ""
        assert list(video)


def two_streams(path: Path, *, default: int, cover: bool = False) -> Path:
    """Two video streams of 48x32 and 96x64; the second may be a cover picture."""
    with av.open(str(path), "w") as container:
        streams = []
        for index, (width, height) in enumerate([(48, 32), (96, 64)]):
            stream = cast(VideoStream, container.add_stream("mjpeg", rate=25))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
            stream.disposition = Disposition.default if index == default else Disposition(0)
            if cover and index == 1:
                stream.disposition = Disposition.attached_pic
            streams.append(stream)
        for _ in range(5):
            for stream in streams:
                image = np.full((stream.height, stream.width), 99, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="gray")
                container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("default", [0, 1])
def test_the_stream_that_is_flagged_as_default_is_read(tmp_path: Path, default: int) -> None:
    path = two_streams(tmp_path / "two.mkv", default=default)
    info = probe(path)
    assert (info.stream, info.columns) == (default, [48, 96][default])
    other = next(read_frames(path, Sampling(stream=1 - default))).luma
    assert cast(Images, other).shape[1] == [96, 48][default]


def write_with_cover(path: Path, *, cover: int) -> Path:
    """Write 5 frames of 48x32, and a cover picture of 96x64 as stream `cover`."""
    kinds = ["mjpeg", "mpeg4"] if cover == 0 else ["mpeg4", "mjpeg"]
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(kind, rate=25) for kind in kinds]
        for stream, kind in zip(streams, kinds, strict=True):
            rows, columns = (64, 96) if kind == "mjpeg" else (32, 48)
            stream.height, stream.width = rows, columns
            stream.pix_fmt = "yuvj420p" if kind == "mjpeg" else "yuv420p"
        streams[cover].disposition = Disposition.attached_pic
        for stream, count in zip(streams, (1, 5) if cover == 0 else (5, 1), strict=True):
            for index in range(count):
                shape = (stream.height, stream.width)
                grey = av.VideoFrame.from_ndarray(np.full(shape, 80, np.uint8), format="gray")
                picture = grey.reformat(format=stream.pix_fmt)
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("cover", [0, 1])
def test_a_cover_picture_beside_a_video_is_never_read(tmp_path: Path, cover: int) -> None:
    path = write_with_cover(tmp_path / "film.mp4", cover=cover)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2, "the cover is a stream of its own"
        [flagged] = [
            stream.index
            for stream in container.streams.video
            if stream.disposition & Disposition.attached_pic
        ]
    info = probe(path)
    assert (info.columns, info.rows, info.streams) == (48, 32, 1)
    assert len(list(read_frames(path))) == 5
    with pytest.raises(VideoError, match=f"stream {flagged} is not a video stream"):
        probe(path, stream=flagged)


def test_square_pixels_stretch_the_width_by_the_sample_aspect(tmp_path: Path) -> None:
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream("mjpeg", rate=25))
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 48), np.uint8), format="gray")
        for _ in range(3):
            container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    assert probe(path).sample_aspect == "4:3"
    for sampling, columns in ((Sampling(), 48), (Sampling(square_pixels=True), 64)):
        luma = next(read_frames(path, sampling)).luma
        assert cast(Images, luma).shape == (32, columns)
    assert Sampling(square_pixels=True, short_side=16).target(32, 48, probe(path).aspect) == (
        16,
        32,
    )


def test_opening_does_not_need_an_option_that_newer_pyav_lacks(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = film("film.mp4"), cast(Any, av.open)

    def newer(file: str, mode: str = "r", **options: Any) -> Any:
        if "metadata_errors" in options:
            raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")
        return real(file, mode, **options)

    monkeypatch.setattr(av, "open", newer)
    assert count_frames(path) == 20
