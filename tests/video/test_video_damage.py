"""What is no whole video: one clear line each, and what there is on demand."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from flowstream import synthetic
from flowstream.errors import DamagedVideoError, VideoError
from flowstream.video import Frame, count_frames, probe, read_frames
from flowstream.video.container import VideoFile

Film = Callable[..., Path]
Numbers = Callable[..., list[int]]


def with_header_first(path: Path) -> Path:
    """The same film as it is streamed: an MP4 that can be read before all of it is there."""
    streamed = path.with_name(f"streamed_{path.name}")
    with (
        av.open(str(path)) as source,
        av.open(str(streamed), "w", options={"movflags": "faststart"}) as target,
    ):
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    return streamed


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


CONTAINERS: dict[str, dict[str, Any]] = {
    "film.mp4": {},
    "film.avi": {"codec": "mpeg4"},
    "film.mkv": {},
    "film.flv": {},
    "film.webm": {"codec": "libvpx-vp9"},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_video_cut_in_half_fails_with_both_counts_unless_that_is_allowed(
    film: Film, numbers: Numbers, name: str
) -> None:
    path = film(name, 100, **CONTAINERS[name])
    if path.suffix == ".mp4":
        path = with_header_first(path)
    assert numbers(path) == list(range(100))
    cut(path, 0.5)
    seen: list[Frame] = []
    with pytest.raises(DamagedVideoError) as caught:
        seen.extend(read_frames(path))
    message = str(caught.value)
    assert "\n" not in message
    assert "truncated" in message
    decoded = len(seen)
    assert decoded < 95
    assert f" {decoded} frames" in message
    # the size of the file where the container does not state a count
    assert re.search(r"its header \w+ (100\.|\d{5,})", message), message
    assert "--allow-truncated" in message
    # the cut may go through the last one
    assert numbers(path, allow_truncated=True)[:-1] == list(range(decoded - 1))
    assert count_frames(path) == decoded


@pytest.mark.parametrize(
    ("count", "missing", "damaged"),
    [
        (100, 2, False),
        (100, 3, True),
        (20, 2, False),
        (20, 3, True),
        (200, 4, False),
        (200, 5, True),
    ],
)
def test_damage_is_more_than_two_frames_and_two_per_cent(
    film: Film, count: int, missing: int, damaged: bool
) -> None:
    path = film("film.avi", count, codec="mjpeg", pixel_format="yuvj420p")
    content = path.read_bytes()
    header = content.index(b"strh") + 8 + 32  # dwLength of AVISTREAMHEADER
    assert int.from_bytes(content[header : header + 4], "little") == count
    claim = (count + missing).to_bytes(4, "little")
    # a claim of `count + missing` of which `count` are there
    total = content.index(b"avih") + 8 + 16
    content = content[:header] + claim + content[header + 4 :]
    path.write_bytes(content[:total] + claim + content[total + 4 :])
    assert probe(path).header_frames == count + missing
    expected = missing > 2 and missing > 0.02 * (count + missing)
    assert damaged == expected
    if damaged:
        with pytest.raises(
            DamagedVideoError, match=f"{count} frames decoded.* {count + missing}\\."
        ):
            list(read_frames(path))
    else:
        assert len(list(read_frames(path))) == count
    assert count_frames(path) == count


@pytest.mark.parametrize("name", ["film.avi", "film.mkv"])
def test_packets_that_cannot_be_decoded_are_skipped_and_counted(
    film: Film, numbers: Numbers, name: str
) -> None:
    path = film(name, 60, codec="mjpeg", pixel_format="yuvj420p")
    content = bytearray(path.read_bytes())
    images = [*re.finditer(rb"\xff\xd8.*?\xff\xd9", content, re.DOTALL)]
    assert len(images) == 60
    for image in images[20:30]:
        content[image.start() : image.end()] = bytes(len(image[0]))
    path.write_bytes(content)
    with pytest.raises(DamagedVideoError, match=r"of 50 frames .*, 10 packets cannot"):
        list(read_frames(path))
    assert len(list(read_frames(path, max_corrupt=10))) == 50
    assert numbers(path, allow_truncated=True) == [*range(20), *range(30, 60)]
    seconds = [frame.seconds for frame in read_frames(path, allow_truncated=True)]
    assert seconds[19:21] == pytest.approx([19 / 25, 30 / 25])


def test_reading_that_breaks_off_is_damage_where_nothing_counts_the_frames(
    film: Film, numbers: Numbers
) -> None:
    path = film("film.y4m", 10, codec="rawvideo")
    assert numbers(path) == list(range(10))
    content = path.read_bytes()
    sixth = [match.start() for match in re.finditer(b"FRAME", content)][6]
    path.write_bytes(content[:sixth] + b"NOISE" + content[sixth + 5 :])
    with pytest.raises(DamagedVideoError, match="truncated after 6 frames: reading stopped"):
        list(read_frames(path))
    assert numbers(path, allow_truncated=True) == list(range(6))


class BreaksOff:
    """A container whose tenth packet cannot be read, as on a failing disk."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, *streams: VideoStream) -> Iterator[Packet[VideoStream]]:
        yield from islice(self._container.demux(*streams), 10)
        raise av.error.OSError(5, "Input/output error")


def test_frames_in_the_decoder_are_returned_when_reading_fails(film: Film) -> None:
    path = film("film.mp4", options={"bf": "3", "b_strategy": "0"})
    with VideoFile(path) as source:
        packets = source._packets
        packets._container = BreaksOff(packets._container)  # type: ignore[assignment]
        assert [picture.index for picture in source.pictures()] == list(range(10))
        source.damage.stated = 0  # or the missing packets are told first
        source.damage.check(path, max_corrupt=0, allow_truncated=True)
        with pytest.raises(DamagedVideoError, match="after 10 frames: reading stopped: Input/outp"):
            source.damage.check(path, max_corrupt=0, allow_truncated=False)


def audio(path: Path, *, cover: bool = False) -> Path:
    """A second of silence, with a cover picture on demand, which FFmpeg calls a video stream."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000, layout="mono")
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 48, 32, "yuvj420p"
            picture.disposition = Disposition.attached_pic
            image = av.VideoFrame.from_ndarray(np.zeros((32, 48), np.uint8), format="gray")
            container.mux(picture.encode(image.reformat(format="yuvj420p")))
            container.mux(picture.encode(None))
        silence = np.zeros((1, 1024), np.float32)
        for _ in range(8):
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.rate = 8000
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def broken(kind: str, folder: Path) -> Path:
    """A path to what is no video."""
    path = folder / f"{kind}.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "renamed text":
        path.write_text("no film at all\n" * 100)
    elif kind == "text":
        path = path.with_suffix(".txt")
        path.write_text("no film at all\n" * 100)
    elif kind.startswith("audio"):
        audio(path, cover="cover" in kind)
    elif kind == "cut header":
        cut(synthetic.write_video(path, [np.zeros((32, 48), np.uint8)] * 20), 0.5)
    elif kind == "directory":
        path.mkdir()
    elif kind == "under a file":
        path.write_text("a file")
        path = path / "film.mp4"
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "not a video: the file is empty"),
        ("renamed text", "not a video, or one cut off: Invalid data"),
        ("text", "not a video: it is text"),
        ("audio", "no video stream; its streams: audio"),
        ("audio with a cover", "no video stream; its streams: audio, video"),
        ("cut header", "not a video, or one cut off: "),
        ("directory", "a directory without numbered images is not a video"),
        ("missing", "cannot read the video: No such file"),
        ("under a file", "cannot read the video: Not a directory"),
    ],
)
def test_a_file_that_is_not_a_video_gives_one_line(tmp_path: Path, kind: str, message: str) -> None:
    path = broken(kind, tmp_path)
    for look in (probe, count_frames, lambda path: list(read_frames(path, allow_truncated=True))):
        with pytest.raises(VideoError) as caught:
            look(path)
        assert str(caught.value).startswith(f"{path}: {message}")
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="file modes are Unix's")
def test_a_file_that_may_not_be_read_gives_one_clear_line(film: Film) -> None:
    path = film("film.mp4", 2)
    path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:  # who may read everything
            os.seteuid(65534)
        with pytest.raises(VideoError, match="cannot read the video: Permission denied"):
            probe(path)
    finally:
        if root:
            os.seteuid(0)
