"""Streams whose coding changes, and files behind files: all is read, or the video is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from flowstream.errors import DamagedVideoError, VideoError
from flowstream.synthetic import write_video
from flowstream.video import Sampling, open_video, read_frames

from .conftest import numbered
from .sample_descriptions import join

Film = Callable[..., Path]
Numbers = Callable[..., list[int]]

H264: dict[str, Any] = {"options": {"bf": "0"}}
MPEG2: dict[str, Any] = {"codec": "mpeg2video"}
MPEG4: dict[str, Any] = {"codec": "mpeg4", "options": {"bf": "0"}}
MJPEG: dict[str, Any] = {"codec": "mjpeg", "pixel_format": "yuvj420p"}


def joined(film: Film, suffix: str, *parts: dict[str, Any], count: int = 12) -> Path:
    """Write films of different codings one behind the other into one file."""
    contents = [
        film(f"{index}{suffix}", count, **part).read_bytes() for index, part in enumerate(parts)
    ]
    path = film(f"all{suffix}", 2, **parts[0])
    path.write_bytes(b"".join(contents))
    return path


@pytest.mark.parametrize(
    ("suffix", "first", "second", "message"),
    [
        (".ts", H264, MPEG2, r"coding changes from h264 to mpeg1.* at byte \d+"),
        (".ts", MPEG2, H264, "coding changes from mpeg1.* to h264"),
        (".ts", MPEG4, H264, "coding changes from mpeg4 to h264"),
        (".mpg", H264, MPEG2, "stream 1 begins behind stream 0; --stream 1 reads it"),
        (".mpg", MPEG2, H264, "stream 1 begins behind stream 0; --stream 1 reads it"),
        (".mp4", H264, MPEG4, r"a second index \(moov\) begins at byte \d+"),
        (".mp4", H264, H264, r"a second index \(moov\) begins at byte \d+"),
        (".flv", H264, H264, r"a second FLV file begins at byte \d+"),
        (".wmv", {"codec": "wmv2"}, {"codec": "wmv1"}, r"a second ASF file begins at byte \d+"),
        (".mkv", H264, MPEG4, r"another coding in a second segment begins at byte \d+"),
        (".avi", MPEG4, MJPEG, "14 packets cannot be read or decoded"),
    ],
)
def test_a_change_of_coding_is_read_or_refused(
    film: Film, numbers: Numbers, suffix: str, first: dict[str, Any], second: dict[str, Any],
    message: str,
) -> None:  # fmt: skip
    path = joined(film, suffix, first, second)
    with pytest.raises(DamagedVideoError, match=message) as caught:
        numbers(path)
    assert "\n" not in str(caught.value)
    assert numbers(path, allow_truncated=True, max_corrupt=99)


def test_matroska_segments_of_other_sizes_are_refused(tmp_path: Path) -> None:
    images = [np.full((side, 64), 40 * side % 251, np.uint8) for side in (32, 48)]
    parts = [
        write_video(tmp_path / f"{k}.mkv", [image] * 6, codec="ffv1").read_bytes()
        for k, image in enumerate(images)
    ]
    path = tmp_path / "both.mkv"
    path.write_bytes(parts[0] + parts[1])
    with pytest.raises(DamagedVideoError, match="another coding in a second segment"):
        list(read_frames(path))
    path.write_bytes(parts[0] + parts[0])
    assert len(list(read_frames(path))) == 12


def test_a_change_in_the_middle_of_a_raw_stream_is_found(film: Film, numbers: Numbers) -> None:
    rest = film("h.h264", 20).read_bytes()
    for name, options in (("film.m4v", MPEG4), ("film.m2v", MPEG2), ("film.mjpeg", MJPEG)):
        # .m4v is MP4 to FFmpeg's muxers
        with av.open(str(film("raw.mkv", 20, **options))) as container:
            packets = [bytes(packet) for packet in container.demux(video=0)]
            extra = bytes(container.streams.video[0].codec_context.extradata or b"")
        path = film(name, 2, **options)
        whole = extra + b"".join(packets)
        path.write_bytes(whole + whole)
        assert numbers(path) == 2 * list(range(20))
        path.write_bytes(whole + rest + whole)
        with pytest.raises(DamagedVideoError, match=r"another coding .h264. is at byte \d+"):
            numbers(path)


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".mkv", ".avi", ".gif", ".h264"])
def test_joined_recordings_of_one_coding_are_read_whole(
    film: Film, numbers: Numbers, suffix: str
) -> None:
    kinds = {".avi": MPEG4, ".gif": {"codec": "gif", "pixel_format": "rgb8"}}
    kind = kinds.get(suffix, H264)
    path = joined(film, suffix, kind, kind)
    assert numbers(path) == 2 * list(range(12))
    # Program streams have no stamps for some frames at the seam.
    if suffix != ".mpg":
        seconds = [frame.seconds for frame in read_frames(path)]
        assert np.diff(seconds) == pytest.approx(1 / 25, abs=0.002), seconds


def other_number(path: Path, count: int, pid: int) -> Path:
    """Write a transport stream whose packets have another identifier."""
    with av.open(str(path), "w", options={"mpegts_start_pid": str(pid)}) as container:
        stream = cast(VideoStream, container.add_stream("libx264", rate=25))
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for image in numbered(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode(None))
    return path


def test_a_video_that_goes_on_in_another_stream_is_refused(
    film: Film, numbers: Numbers, tmp_path: Path
) -> None:
    path = film("film.ts", 12)
    path.write_bytes(path.read_bytes() + other_number(tmp_path / "b.ts", 9, 300).read_bytes())
    with pytest.raises(DamagedVideoError, match="after 12 frames: stream 1 begins behind stream 0"):
        numbers(path)
    # who names a stream wants no other
    with open_video(path, Sampling(stream=1)) as video:
        assert len(list(video)) == 9
        assert any("stream 0 ends before" in note for note in video.notes)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (H264, MPEG4, "several codings .avc1 and mp4v."),
        (MPEG4, H264, "several codings .avc1 and mp4v."),
        (MPEG4, {**MPEG4, "fps": 30.0}, "configuration of the decoder changes at frame 12"),
        (H264, {"options": {"bf": "0", "refs": "2"}}, ""),
        (MPEG4, MPEG4, ""),
    ],
)
def test_a_track_with_two_descriptions_is_read_whole_or_refused(
    film: Film, numbers: Numbers, first: dict[str, Any], second: dict[str, Any], message: str
) -> None:
    parts = [film(f"{i}.mp4", 12, **part) for i, part in enumerate((first, second))]
    path = join(parts[0], parts[1], parts[0].with_name("film.mp4"))
    if message:
        with pytest.raises(DamagedVideoError, match=message):
            numbers(path)
    else:
        assert numbers(path) == 2 * list(range(12))


def test_the_trailer_of_a_filmstrip_is_no_damage(film: Film, numbers: Numbers) -> None:
    path = film("film.flm", 12, codec="rawvideo", pixel_format="rgba")
    assert len(numbers(path)) == 12


def test_a_header_with_a_size_beyond_all_memory_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "huge.y4m"
    path.write_bytes(b"YUV4MPEG2 W100000 H100000 F25:1\nFRAME\n" + bytes(1000))
    with pytest.raises(VideoError, match="header states a frame size that cannot be read"):
        open_video(path)


def test_streams_side_by_side_and_a_late_sound_are_no_change(tmp_path: Path) -> None:
    path = tmp_path / "two.ts"
    with av.open(str(path), "w") as container:
        streams = []
        for count in (30, 12):
            stream = cast(VideoStream, container.add_stream("mpeg2video", rate=25))
            stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
            streams.append((stream, count))
        for index, image in enumerate(numbered(30)):
            for stream, count in streams:
                if index < count:
                    picture = av.VideoFrame.from_ndarray(image, format="gray")
                    container.mux(stream.encode(picture.reformat(format="yuv420p")))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    with open_video(path) as video:
        assert len(list(video)) == 30
        assert not any("stream" in note for note in video.notes)
