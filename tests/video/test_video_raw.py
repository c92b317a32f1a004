"""Raw video that FFmpeg does not recognise by its content, or takes for another coding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.format
import pytest

from flowstream.errors import VideoError
from flowstream.video import probe
from flowstream.video.raw_formats import find_format

Film = Callable[..., Path]
Numbers = Callable[..., list[int]]
JPEG: dict[str, Any] = {"codec": "mjpeg", "pixel_format": "yuvj420p"}


def resemble_h263(path: Path, count: int) -> Path:
    """Give the first pictures of a Motion JPEG file a comment that looks like an H.263 picture."""
    head, *pictures = path.read_bytes().split(b"\xff\xd8\xff")
    assert (head, len(pictures)) == (b"", 12)
    for index in range(count):
        start = bytes([0, 0, 0x80, index << 2 | 2, 0x0C, 0, 0, 1, 0, 0])
        pictures[index] = (
            b"\xfe" + (len(start) + 2).to_bytes(2, "big") + start + b"\xff" + pictures[index]
        )
    path.write_bytes(b"".join(b"\xff\xd8\xff" + picture for picture in pictures))
    return path


def test_motion_jpeg_that_looks_like_h263_is_read_as_its_suffix_says(
    film: Film, numbers: Numbers
) -> None:
    tied = resemble_h263(film("tied.mjpeg", 12, **JPEG), 1)
    with pytest.raises(av.InvalidDataError):  # FFmpeg takes none of two equally likely formats
        av.open(str(tied))
    other = resemble_h263(film("other.mjpeg", 12, **JPEG), 4)
    with av.open(str(other)) as container:
        assert container.format.name == "h263"
    for path in (tied, other):
        assert numbers(path) == list(range(12))
        assert probe(path).codec == "mjpeg"


# First bytes of files written by FFmpeg 8.
STARTS = {
    "a.h264": ("000000016764000a", "h264"),
    "a.265": ("0000000140010c01", "hevc"),
    "a.M2V": ("000001b308006023", "mpegvideo"),
    "a.m4v": ("000001b001000001", "m4v"),
    "a.mjpg": ("ffd8fffe00104c61", "mjpeg"),
    "a.h263": ("0000800208033be1", "h263"),
    "a.h261": ("00010016000111a2", "h261"),
    "a.obu": ("12000a0a00000003", "obu"),
    "a.dv": ("1f0700bff8787878", "dv"),
    "a.dnxhd": ("00000280010180a0", "dnxhd"),
}


@pytest.mark.parametrize("name", STARTS)
def test_the_start_of_a_raw_stream_confirms_its_suffix(name: str) -> None:
    digits, demuxer = STARTS[name]
    path, head = Path(name), bytes.fromhex(digits)
    assert find_format(path, head) == demuxer
    assert av.format.ContainerFormat(demuxer, "r").is_input
    # A suffix alone is no evidence, because it may be that of another format.
    others = {start for start, other in STARTS.values() if other != demuxer}
    assert not any(find_format(path, bytes.fromhex(start)) for start in others)
    assert find_format(path.with_suffix(".mp4"), head) is None


def test_a_raw_suffix_does_not_make_a_video(tmp_path: Path, film: Film, numbers: Numbers) -> None:
    moved = film("film.mp4", 5)
    assert numbers(moved.rename(tmp_path / "film.h264")) == list(range(5))
    for name in ("text.h264", "text.mjpeg", "text.dv", "text.ts", "text.m2v", "text.mpg"):
        path = tmp_path / name
        path.write_bytes(b"\xff\xd8\xff" + b"no video\n" * 500)
        with pytest.raises(VideoError, match=name) as caught:
            probe(path)
        assert "\n" not in str(caught.value)
