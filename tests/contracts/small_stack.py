"""A small stack of smooth motion with frames, for the contracts that read one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowstream.types import Vectors
from tests.small_stack import write_fields

SIZE = (24, 32)
PAIRS = 8


def small_vectors() -> Vectors:
    """Return (PAIRS, 2, H, W): vectors that grow along each axis and with time."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    fields = [np.stack([x / 8 - 2 + k / 4, y / 6 - 1 - k / 4]) for k in range(PAIRS)]
    return np.stack(fields).astype(np.float32)


def write_small_stack(path: Path) -> Path:
    """Write the stack; frame t has the grey value 25 t."""
    return write_fields(
        path,
        small_vectors(),
        images=[np.full((*SIZE, 3), 25 * t, np.uint8) for t in range(PAIRS + 1)],
        method={"name": "dis"},
        source="small.mp4",
    )
