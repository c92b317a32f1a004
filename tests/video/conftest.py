"""Films whose frames tell their own number, in black and white."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream import synthetic
from flowstream.types import Images
from flowstream.video import Sampling, read_frames

BITS = 12
SIZE = (32, 48)


def numbered(count: int) -> Iterator[Images]:
    """Frames of twelve blocks, the bits of the frame's number, which no codec here loses.

    Noise makes them big enough for a file to be mostly frames.
    """
    for index in range(count):
        bits = (index >> np.arange(BITS).reshape(2, 6)) & 1
        blocks = (40 + 160 * bits).repeat(16, axis=0).repeat(8, axis=1)
        noise = np.random.default_rng(index).integers(-30, 31, SIZE)
        yield (blocks + noise).astype(np.uint8)


def number(luma: Images) -> int:
    blocks = luma.reshape(2, 16, 6, 8).mean(axis=(1, 3)) > 120
    return int((blocks.ravel() << np.arange(BITS)).sum())


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Writes a film: name, number of frames, and what `write_video` takes."""

    def write(name: str, count: int = 20, **options: Any) -> Path:
        return synthetic.write_video(tmp_path / name, numbered(count), **options)

    return write


@pytest.fixture
def numbers() -> Callable[..., list[int]]:
    """Reads the numbers that a film's frames show."""

    def read(path: Path, sampling: Sampling = Sampling(), **options: Any) -> list[int]:  # noqa: B008
        lumas = [frame.luma for frame in read_frames(path, sampling, **options)]
        return [number(luma) for luma in lumas if luma is not None]

    return read
