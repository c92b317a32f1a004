"""Values and images of a clip, reduced to a few megabytes for a page."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.types import Images
from flowstream.view.clip import Clip, sample_fields
from flowstream.view.picture import encode_picture
from flowstream.view.resizing import fit_columns, resize_picture

CODE_BYTES = 950_000
"""Compressed bytes of the values of a page."""

IMAGE_BYTES = 1_050_000
"""Bytes of the images of a page. In base64 both take a third more: 2.7 MB."""

STRIDES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
"""Distances of the pixels whose values are kept; the smallest that fits is used."""

QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10)
LONGEST_SIDE = 640

_PROBES = 6


@dataclass(frozen=True)
class Samples:
    """Values of the flow on a grid: every `stride`-th pixel from `offset` on, in both directions.

    Parameters
    ----------
    packed : bytes
        Deflated codes after horizontal differences, `(L, 2, rows, columns)`.
    grid : (rows, columns)
    stride, offset : int
    table : list of float, optional
        Pixels per frame of the codes 0 to 255 of an 8-bit codec: exactly the stack's values.
    step : float
        Pixels per frame of one unit of 16-bit codes, for other codecs.
    """

    packed: bytes
    grid: tuple[int, int]
    stride: int
    offset: int
    table: list[float] | None
    step: float


def sample_values(clip: Clip, chosen: Sequence[int]) -> Samples:
    """Sample the fields of a clip as finely as `CODE_BYTES` allow."""
    read, table, step = _reader(clip, chosen)
    probes = [chosen[int(i)] for i in np.linspace(0, len(chosen) - 1, min(_PROBES, len(chosen)))]
    few = np.stack([read(k) for k in probes])
    for stride in STRIDES:
        size = len(_pack(_grid(few, stride))) * len(chosen) / len(probes)
        if size <= CODE_BYTES:
            break
    codes = np.stack([_grid(read(k), stride) for k in chosen])
    rows, columns = codes.shape[-2:]
    return Samples(_pack(codes), (rows, columns), stride, stride // 2, table, step)


def _grid(codes: NDArray[Any], stride: int) -> NDArray[Any]:
    return codes[..., stride // 2 :: stride, stride // 2 :: stride]


def _reader(
    clip: Clip, chosen: Sequence[int]
) -> tuple[Callable[[int], NDArray[Any]], list[float] | None, float]:
    """Return how field k is read as codes, and what the codes mean."""
    stack = clip.stack
    if stack is not None and stack.codec.dtype == np.uint8:
        every = np.arange(256, dtype=np.uint8).reshape(1, 1, 256).repeat(2, axis=0)
        table = stack.codec.decode(every)[0, 0].astype(float).tolist()
        return (lambda k: stack.codes(k, 1)), table, 0.0
    largest = max(float(np.abs(np.nan_to_num(clip.field(k))).max()) for k in chosen)
    step = (largest or 1.0) / 32767

    def quantise(k: int) -> NDArray[Any]:
        return np.rint(np.nan_to_num(clip.field(k)) / step).astype(np.int16)  # type: ignore[no-any-return]

    return quantise, None, step


def _pack(codes: NDArray[Any]) -> bytes:
    """Deflate horizontal differences; of 16-bit codes all low bytes come before all high bytes."""
    differences = codes.copy()
    differences[..., 1:] -= codes[..., :-1]
    raw = np.ascontiguousarray(differences)
    if raw.dtype.itemsize == 2:
        raw = np.concatenate(
            [raw.view(np.uint8).reshape(-1)[0::2], raw.view(np.uint8).reshape(-1)[1::2]]
        )
    return zlib.compress(raw.tobytes(), 9)


def sample_images(clip: Clip, chosen: Sequence[int]) -> tuple[bytes, list[int]]:
    """Return the frames of the chosen fields as WebP, one after another, and where each ends."""
    if not clip.has_frames:
        return b"", []
    probes = sample_fields(clip, range(len(chosen)), most=_PROBES)
    few = [_shrink(clip, chosen[i]) for i in probes]
    for quality in QUALITIES:
        sizes = [len(encode_picture(image, "WEBP", quality=quality)) for image in few]
        if sum(sizes) / len(sizes) * len(chosen) <= IMAGE_BYTES:
            break
    images = [encode_picture(_shrink(clip, k), "WEBP", quality=quality) for k in chosen]
    ends = np.cumsum([len(image) for image in images])
    return b"".join(images), ends.tolist()


def _shrink(clip: Clip, t: int) -> Images:
    image = clip.frame(t)
    assert image is not None, "the clip has frames"
    factor = LONGEST_SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    return resize_picture(
        image, fit_columns(image, round(image.shape[1] * factor)), enlarge="cubic"
    )


def as_text(data: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(data).decode("ascii")
