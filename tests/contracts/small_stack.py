"""A small stack of smooth motion with frames, for the contracts that read one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowstream.codec.centred8 import Centred8
from flowstream.store import Header, create_stack, encode_jpeg
from flowstream.types import Vectors

SIZE = (24, 32)
PAIRS = 8


def small_vectors() -> Vectors:
    """Return (PAIRS, 2, H, W): vectors that grow along each axis and with time."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    fields = [np.stack([x / 8 - 2 + k / 4, y / 6 - 1 - k / 4]) for k in range(PAIRS)]
    return np.stack(fields).astype(np.float32)


def write_small_stack(path: Path) -> Path:
    """Write the stack; frame t has the grey value 25 t."""
    header = Header(
        size=SIZE,
        method={"name": "dis"},
        sampling={"step": 1},
        codec=Centred8(),
        source="small.mp4",
        source_size=SIZE,
        fps=25.0,
    )
    with create_stack(path, header) as writer:
        for t in range(PAIRS + 1):
            writer.add_frame(t, t / 25, encode_jpeg(np.full((*SIZE, 3), 25 * t, np.uint8)))
        writer.add_fields(small_vectors())
    return path
