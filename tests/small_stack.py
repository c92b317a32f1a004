"""A stack of known motion, for tests of what looks at stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flowstream import synthetic
from flowstream.codec import CODECS, Codec
from flowstream.store import Header, create_stack, encode_jpeg

SIZE = (48, 64)


def known_header(size: tuple[int, int], codec: Codec, **changes: Any) -> Header:
    """Return the header of a stack of known flow; `changes` replace other values."""
    values: dict[str, Any] = {
        "method": {"name": "known"},
        "sampling": {"step": 1},
        "source": "known.mp4",
        "source_bytes": 1,
        "fps": 25.0,
        "source_size": size,
    }
    return Header(size=size, codec=codec, **{**values, **changes})


def make_pan(path: Path, *, frames: int) -> Path:
    """Write a video of a pan by (1.5, -0.5) per step, at 25 frames per second, without loss."""
    pairs = (synthetic.pan(dx=1.5 * t, dy=-0.5 * t, size=SIZE, seed=2) for t in range(frames))
    return synthetic.write_video(
        path, np.stack([second[0] for _, second in pairs]), fps=25, codec="ffv1"
    )


def make_stack(
    path: Path,
    *,
    speeds: tuple[float, ...] = (1.0, 2.0, 30.0),
    rgb: bool = True,
    codec: str = "centred8",
) -> Path:
    """Write a stack whose field k moves right at `speeds[k]` px/frame, at 25 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = synthetic.texture(SIZE, seed=3)[..., None].repeat(3, axis=2)
    fields = np.zeros((len(speeds), 2, *SIZE), np.float32)
    fields[:, 0] = np.array(speeds)[:, None, None]
    header = Header(
        size=SIZE,
        method={"name": "dis", "preset": "medium", "patch_size": None},
        sampling={"step": 1, "fps": None},
        codec=CODECS[codec](),
        source="clip.mp4",
        source_bytes=1234,
        fps=25,
        source_size=(96, 128),
    )
    with create_stack(path, header, outputs=["rgb"] if rgb else []) as writer:
        for index in range(len(speeds) + 1):
            jpeg = encode_jpeg(frame, quality=95) if rgb else None
            writer.add_frame(index, index / 25, jpeg)
        writer.add_fields(fields)
    return path
