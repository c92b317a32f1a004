"""Videos that were refused, accepted or misread by mistake: the shared inputs, and their like."""

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
from flowstream.errors import DamagedVideoError, VideoError
from flowstream.types import Images
from flowstream.video import Sampling, count_frames, open_video, probe, read_frames
from flowstream.video.clock import Clock

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


# --- their like -----------------------------------------------------------------------------------


def remux(source: Path, target: Path, stamp: Callable[[int, int], int]) -> Path:
    """Copy packets; packet `index` moves from time `old` to `stamp(index, old)`."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.dts is not None]
        for index, packet in enumerate(packets):
            later = stamp(index, packet.dts or 0) - (packet.dts or 0)
            packet.pts, packet.dts = (packet.pts or 0) + later, (packet.dts or 0) + later
            packet.stream = copy
            new.mux(packet)
    return target


@pytest.mark.parametrize("seconds", [30, 3600, -2])
def test_a_transport_stream_whose_clock_jumps_goes_on_by_one_period(
    film: Film, tmp_path: Path, seconds: int
) -> None:
    whole = film("whole.ts", 40, options={"bf": "0", "g": "20"})
    with av.open(str(whole)) as container:
        unit = container.streams.video[0].time_base
    assert unit is not None
    jump = round(seconds / unit)
    later = remux(whole, tmp_path / "later.ts", lambda index, old: old + jump)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(whole.read_bytes() + later.read_bytes())
    with open_video(joined, Sampling(fps=25.0)) as video:
        assert len(list(video)) == 80
        assert video.corrupt == ()
        assert len([note for note in video.notes if "clock jumps" in note]) == 1


def test_a_long_pause_keeps_its_time_but_repeats_a_bounded_number_of_frames(
    film: Film, tmp_path: Path
) -> None:
    whole = film("whole.mkv", options={"bf": "0"})
    paused = remux(whole, tmp_path / "p.mkv", lambda index, old: old + 3_600_000 * (index >= 10))
    times = [frame.seconds for frame in read_frames(paused)]
    assert times[10] - times[9] == pytest.approx(3600.04)
    with open_video(paused, Sampling(fps=25.0)) as video:
        # ten seconds of the frame before the pause
        assert len(list(video)) == 9 + 250 + 10
        assert any("frame 9 is shown for 3.6e+03 s" in note for note in video.notes)


def times_of(stamps: list[float | None], *, may_jump: bool = False) -> list[float]:
    clock = Clock(period=0.04, may_jump=may_jump)
    return [seconds for _, seconds in clock.place((stamp, stamp) for stamp in stamps)]


def test_a_step_back_of_the_clock_starts_it_anew() -> None:
    stamps = [60 + 0.04 * index for index in range(10)] + [0.04 * index for index in range(10)]
    clock = Clock(period=0.04, may_jump=False)
    times = [seconds for _, seconds in clock.place((stamp, stamp) for stamp in stamps)]
    assert np.diff(times) == pytest.approx(0.04)
    assert [index for index, _ in clock.jumps] == [10]


@pytest.mark.parametrize("repeats", [1, 3, 8])
def test_times_increase_and_catch_up_with_stamps_that_repeat(repeats: int) -> None:
    stamps = [0.04 * index for index in range(40)]
    times = times_of([*stamps[:5], *repeats * stamps[4:5], *stamps[5:]])
    assert (np.diff(times) > 0).all()
    # at most four frames are held back, and the others catch up by half a period each
    assert times[-1] == pytest.approx(stamps[-1])


def test_frames_without_any_stamp_are_a_period_apart() -> None:
    assert times_of([None] * 12) == pytest.approx([0.04 * index for index in range(12)])
    assert times_of([None, None, 5.0, 5.04]) == pytest.approx([0, 0.04, 0.08, 0.12])


def test_the_last_frame_of_a_variable_rate_is_no_evidence_of_loss(film: Film) -> None:
    times = [*(index / 10 for index in range(19)), 4.0]
    path = film("hold.mkv", times=times)
    assert len(list(read_frames(path))) == 20


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
    assert np.array_equal(cast(Images, given.rgb)[..., 0], given.luma)


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
    path, real = film("film.mp4"), av.open

    def newer(file: str, mode: str = "r", **options: Any) -> Any:
        if "metadata_errors" in options:
            raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")
        return real(file, mode, **options)

    monkeypatch.setattr(av, "open", newer)
    assert count_frames(path) == 20
