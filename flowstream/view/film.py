"""Films of drawings: MP4 that browsers play, animated GIF and WebP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from PIL import Image

from flowstream.disk import whole_file
from flowstream.errors import FlowFileError
from flowstream.types import Images

Writer = Callable[[Path, Iterator[Images], float], None]


def _write_mp4(path: Path, pictures: Iterator[Images], fps: float) -> None:
    """Write H.264 if PyAV has an encoder for it, else VP9; browsers play both in MP4."""
    codec, options = _video_encoder()
    first = next(pictures)
    rate = Fraction(fps).limit_denominator(1000)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = first.shape[0] // 2 * 2, first.shape[1] // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in _chain(first, pictures):
            even = np.ascontiguousarray(picture[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())


def _video_encoder() -> tuple[str, dict[str, str]]:
    available = av.codec.codecs_available
    if "libx264" in available:
        return "libx264", {"crf": "18", "preset": "medium"}
    if "libopenh264" in available:
        return "libopenh264", {"b": "4M"}
    return "libvpx-vp9", {"crf": "24", "b": "0", "cpu-used": "4"}


def _write_animation(path: Path, pictures: Iterator[Images], fps: float, *, kind: str) -> None:
    first = next(pictures)
    settings: dict[str, object] = {"quality": 80, "method": 4} if kind == "WEBP" else {}
    Image.fromarray(first).save(
        path,
        format=kind,
        save_all=True,
        append_images=map(Image.fromarray, pictures),
        duration=round(1000 / fps),
        loop=0,
        **settings,
    )


FILMS: dict[str, Writer] = {
    ".mp4": _write_mp4,
    ".gif": partial(_write_animation, kind="GIF"),
    ".webp": partial(_write_animation, kind="WEBP"),
}
"""Kinds of film by their suffix."""


def write_film(path: str | Path, pictures: Iterable[Images], *, fps: float) -> None:
    """Write pictures of one size as a film; the file is complete or does not exist.

    Parameters
    ----------
    path : path
        `.mp4`, `.gif` or `.webp`.
    pictures : (rows, columns, 3), uint8, RGB
        At least one.
    fps : float
        Pictures per second.

    Raises
    ------
    FlowFileError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            FILMS[path.suffix.lower()](part, iter(pictures), fps)
    except OSError as error:
        if isinstance(error, FlowFileError):
            raise
        raise FlowFileError(
            f"{path}: cannot write the animation: {error.strerror or error}"
        ) from error


def _chain(first: Images, others: Iterator[Images]) -> Iterator[Images]:
    yield first
    yield from others
