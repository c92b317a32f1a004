"""A stack with everything that one may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flowstream.codec.float32 import Float32
from flowstream.flow.camera import Stabiliser
from flowstream.store import StackWriter, create_stack

SIZE = (12, 19)  # columns that fill no whole number of bytes
PAIRS = 5
KINDS = {"backward": True, "consistency": True, "stabiliser": Stabiliser(features="sift")}

rng = np.random.default_rng(4)
FORWARD, BACKWARD = rng.normal(0, 6, (2, PAIRS, 2, *SIZE)).astype(np.float32)
BACKWARD[2, 0, 3, 3] = 40.0
MASKS = rng.random((PAIRS, *SIZE)) < 0.8
HOMOGRAPHIES = np.eye(3) + rng.normal(0, 0.01, (PAIRS, 3, 3))
INLIERS = np.array([0.9, 0.0, 0.5, 1.0, 0.75], np.float32)


def begin(path: Path, **kinds: Any) -> StackWriter:
    return create_stack(
        path,
        **{
            "size": SIZE,
            "method": {"name": "dis"},
            "sampling": {"step": 1},
            "codec": Float32(),
            "source": "clip.mp4",
            "source_bytes": 1,
            "fps": 25.0,
            "source_size": SIZE,
            "rgb": False,
            **kinds,
        },
    )


def fill(writer: StackWriter, part: slice = slice(None)) -> None:
    writer.add_fields(FORWARD[part])
    if writer.backward:
        writer.add_backward_fields(BACKWARD[part])
    if writer.consistency:
        writer.add_consistency(MASKS[part])
    if writer.stabilised:
        writer.add_cameras(HOMOGRAPHIES[part], INLIERS[part])


def make(path: Path, **kinds: Any) -> Path:
    with begin(path, **kinds) as writer:
        for t in range(PAIRS + 1):
            writer.add_frame(t, t / 25)
        for part in (slice(0, 2), slice(2, PAIRS)):
            fill(writer, part)
    return path
