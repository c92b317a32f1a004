"""A stack with everything that one may hold."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.codec.float32 import Float32
from flowstream.flow.camera import Stabiliser
from flowstream.plugins import provenance
from flowstream.store import Header, StackWriter, create_stack

SIZE = (12, 19)  # columns that fill no whole number of bytes
PAIRS = 5
KINDS = ("backward", "consistency", "camera")

rng = np.random.default_rng(4)
FORWARD, BACKWARD = rng.normal(0, 6, (2, PAIRS, 2, *SIZE)).astype(np.float32)
BACKWARD[2, 0, 3, 3] = 40.0
MASKS = rng.random((PAIRS, *SIZE)) < 0.8
HOMOGRAPHIES = np.eye(3) + rng.normal(0, 0.01, (PAIRS, 3, 3))
INLIERS = np.array([0.9, 0.0, 0.5, 1.0, 0.75], np.float32)


def begin(path: Path, outputs: Collection[str] = (), **changes: Any) -> StackWriter:
    fields: dict[str, Any] = {
        "size": SIZE,
        "method": {"name": "dis"},
        "sampling": {"step": 1},
        "codec": Float32(),
        "source": "clip.mp4",
        "source_bytes": 1,
        "fps": 25.0,
        "source_size": SIZE,
        "stabiliser": provenance(Stabiliser(features="sift")) if "camera" in outputs else None,
    }
    return create_stack(path, Header(**{**fields, **changes}), outputs=outputs)


def optional(outputs: Collection[str], part: slice = slice(None)) -> dict[str, NDArray[Any]]:
    """Return the optional values of the pairs in `part`."""
    values: dict[str, tuple[str, NDArray[Any]]] = {
        "flow_backward": ("backward", BACKWARD),
        "consistent": ("consistency", MASKS),
        "homography": ("camera", HOMOGRAPHIES),
        "inliers": ("camera", INLIERS),
    }
    return {name: array[part] for name, (output, array) in values.items() if output in outputs}


def make(path: Path, outputs: Collection[str] = (), **changes: Any) -> Path:
    with begin(path, outputs, **changes) as writer:
        for t in range(PAIRS + 1):
            writer.add_frame(t, t / 25)
        for part in (slice(0, 2), slice(2, PAIRS)):
            writer.add_fields(FORWARD[part], **optional(outputs, part))
    return path
