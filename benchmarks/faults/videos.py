"""Damaged video files: is what cannot be right refused, and is a clean file accepted?

A result is *wrong* if frames differ from those of the clean file, nothing is reported, and
`ffmpeg -v error` would report something. Where FFmpeg is silent as well, the coding has no
redundancy at the damaged place and the loss is *undetectable* by any reader.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.damage import damage_files
from benchmarks.faults.tally import Budget, Tally
from benchmarks.faults.watched import WatchedProcess

SIZE = (96, 128)
FRAMES = 24

KINDS: dict[str, dict[str, Any]] = {
    "h264.mp4": {},
    "h264.mkv": {},
    "h264.ts": {},
    "h264.flv": {},
    "h264.h264": {},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "mjpeg.mov": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "mpeg2.mxf": {"codec": "mpeg2video"},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "wmv2.wmv": {"codec": "wmv2"},
    "ffv1.nut": {"codec": "ffv1"},
    "raw.y4m": {"codec": "rawvideo"},
    "prores.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le"},
    "picture.gif": {"codec": "gif", "pixel_format": "rgb8"},
}
"""Name of a clip, whose suffix is its container, and how it is written."""


def run(budget: Budget, *, kinds: Mapping[str, dict[str, Any]] = KINDS) -> Tally:
    """Damage clips of all containers in all ways."""
    tally = budget.tally("videos")
    generator = budget.generator()
    clips = make_clips(budget.scratch, kinds)
    with WatchedProcess(seconds=20) as child:
        clean = {}
        for clip in clips:
            answer = child.call("benchmarks.faults.videos:read", str(clip))
            if answer.kind != "value":
                tally.add("wrong", f"clean {clip.name}: {answer.value}")
            clean[clip] = answer.value
        while not budget.is_spent(tally.tried):
            for clip, copy, what in damage_files(clips, generator, seed=budget.seed):
                tally.add(*judge(child, copy, clean[clip], what))
                if budget.is_spent(tally.tried):
                    break
    return tally


def make_clips(directory: Path, kinds: Mapping[str, dict[str, Any]] = KINDS) -> list[Path]:
    """Write one clip of each kind; those that this FFmpeg cannot encode are left out."""
    from flowstream import synthetic

    clips = []
    texture = synthetic.texture((SIZE[0], SIZE[1]), seed=1)
    frames = [np.roll(texture, (index, 2 * index), (0, 1)) for index in range(FRAMES)]
    for name, options in kinds.items():
        try:
            clips.append(synthetic.write_video(directory / name, frames, **options))
        except ValueError as error:  # an encoder or pixel format that is not there
            print(f"{name} is left out: {error}")
    return clips


def judge(child: WatchedProcess, variant: Path, clean: Any, what: str) -> tuple[str, str]:
    """Return the outcome of reading one damaged file, and its description."""
    answer = child.call("benchmarks.faults.videos:read", str(variant))
    outcome = answer.outcome(variant, clean)
    if outcome != "wrong":
        return outcome, what if answer.kind == "value" else f"{what}: {answer.value}"
    reported = child.call("benchmarks.faults.videos:complaints", str(variant))
    if reported.kind == "value" and not reported.value:
        return "undetectable", what
    return "wrong", f"{what}: FFmpeg reports {reported.value}"


def read(path: str) -> list[int]:
    """Return a checksum of each frame, read as extraction does."""
    from flowstream.video import read_frames

    lumas = (frame.luma for frame in read_frames(path))
    return [zlib.crc32(luma.tobytes()) for luma in lumas if luma is not None]


def complaints(path: str) -> list[str]:
    """Return what FFmpeg reports while it decodes a file, as `ffmpeg -v error` prints."""
    import av
    import av.logging

    from flowstream.video.raw_formats import find_format

    with open(path, "rb") as file:
        named = find_format(Path(path), file.read(512))
    found: list[str] = []
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as logs, av.open(path, format=named) as container:
            stream = container.streams.best("video")
            assert stream is not None
            stream.codec_context.thread_count = 1
            for packet in container.demux(stream):
                try:
                    found += ["a corrupt frame" for frame in packet.decode() if frame.is_corrupt]
                except av.FFmpegError as error:
                    found.append(str(error))
        found += [f"{name}: {message.strip()}" for _, name, message in logs]
    except (av.FFmpegError, IndexError) as error:
        found.append(str(error))
    finally:
        av.logging.set_level(None)
    return found[:5]
