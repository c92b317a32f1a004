"""Videos joined byte by byte, of the same or of different codings.

All frames of both must be read, or the file must be refused. Nothing is undetectable here: what
follows the first video is there to be seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.tally import Budget, Tally
from benchmarks.faults.watched import WatchedProcess

_H264: dict[str, Any] = {}
_PLAIN: dict[str, Any] = {"options": {"bf": "0"}}
_HEVC: dict[str, Any] = {"codec": "libx265", "options": {"x265-params": "log-level=none"}}
_MPEG2: dict[str, Any] = {"codec": "mpeg2video", "options": {"bf": "2"}}
_MPEG4: dict[str, Any] = {"codec": "mpeg4"}
_MJPEG: dict[str, Any] = {"codec": "mjpeg", "pixel_format": "yuvj420p"}
_VP8: dict[str, Any] = {"codec": "libvpx"}
_VP9: dict[str, Any] = {"codec": "libvpx-vp9"}
_FULL: dict[str, Any] = {"pixel_format": "yuv444p"}

KINDS: dict[str, list[dict[str, Any]]] = {
    ".ts": [_H264, _HEVC, _MPEG2, _MPEG4, {"codec": "mpeg1video"}, _FULL],
    ".mpg": [_H264, _MPEG2, {"codec": "mpeg1video"}],
    ".mkv": [_H264, _HEVC, _MPEG2, _MPEG4, _MJPEG, _VP8, _VP9, {"codec": "ffv1"}],
    ".mp4": [_PLAIN, _HEVC, _MPEG4, _MJPEG, _VP9],
    ".mov": [_PLAIN, _MJPEG, {"codec": "prores_ks", "pixel_format": "yuv422p10le"}],
    ".avi": [_PLAIN, _MPEG4, _MJPEG, {"codec": "ffv1"}, {"codec": "msmpeg4v3"}],
    ".flv": [_PLAIN, {"codec": "flv1"}],
    ".wmv": [{"codec": "wmv1"}, {"codec": "wmv2"}, _MJPEG],
    ".webm": [_VP8, _VP9],
    ".ivf": [_VP8, _VP9],
    ".ogv": [_VP8, {"codec": "libtheora"}],
    ".nut": [_H264, _MPEG4, {"codec": "ffv1"}],
    ".mxf": [_MPEG2, _PLAIN],
    ".gif": [{"codec": "gif", "pixel_format": "rgb8"}],
    ".y4m": [{"codec": "rawvideo"}, {"codec": "rawvideo", "pixel_format": "yuv444p"}],
    ".h264": [_PLAIN, _FULL],
    ".h265": [_HEVC],
    ".m2v": [_MPEG2],
    ".mjpeg": [_MJPEG],
}
"""Codings by container."""
_RAW = (".h264", ".h265", ".m2v", ".mjpeg")
_SIZES = ((96, 128), (96, 128), (96, 128), (64, 96))


def run(budget: Budget) -> Tally:
    """Join two or three short videos, and read the result."""
    tally = budget.tally("joined videos")
    generator = budget.generator()
    with WatchedProcess(seconds=20) as child:
        while not budget.is_spent(tally.tried):
            suffix = str(generator.choice(list(KINDS)))
            try:
                parts = [
                    _write(budget.scratch / f"{number}", suffix, generator)
                    for number in range(int(generator.integers(2, 4)))
                ]
            except ValueError as error:  # an encoder that is not there
                print(f"{suffix}: {error}")
                continue
            tally.add(*_judge(child, parts, budget.scratch / f"joined{suffix}"))
    return tally


def _write(path: Path, suffix: str, generator: np.random.Generator) -> tuple[Path, str]:
    """Write a short video for a container, and describe it."""
    from flowstream import synthetic

    if suffix in _RAW and generator.random() < 0.5:
        suffix = str(generator.choice(_RAW))  # raw streams have no container that tells the coding
    kinds = KINDS[suffix]
    options = kinds[int(generator.integers(len(kinds)))]
    rows, columns = _SIZES[int(generator.integers(len(_SIZES)))]
    texture = synthetic.texture((rows, columns), seed=int(generator.integers(1000)))
    count = int(generator.integers(3, 50))
    frames = [np.roll(texture, (index, 2 * index), (0, 1)) for index in range(count)]
    name = options.get("codec", "libx264")
    video = synthetic.write_video(path.with_suffix(suffix), frames, **options)
    return video, f"{count} frames {name} {options.get('pixel_format', '')} {columns}x{rows}"


def _judge(child: WatchedProcess, parts: list[tuple[Path, str]], joined: Path) -> tuple[str, str]:
    what = f"{joined.name}: {' + '.join(description for _, description in parts)}"
    expected: list[int] = []
    for path, _ in parts:
        answer = child.call("benchmarks.faults.videos:read", str(path))
        if answer.kind != "value":
            return "wrong", f"{what}: {path.name} alone: {answer.value}"
        expected += answer.value
    joined.write_bytes(b"".join(path.read_bytes() for path, _ in parts))
    answer = child.call("benchmarks.faults.videos:read", str(joined))
    if answer.kind == "value":
        what += f": {len(answer.value)} of {len(expected)} frames"
    else:
        what += f": {answer.value}"
    return answer.outcome(joined, expected), what
