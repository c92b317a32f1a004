"""Stacks of known motion, for tests of what looks at stacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.codec import CODECS, Codec
from flowstream.codec.centred8 import Centred8
from flowstream.store import Header, create_stack, encode_jpeg
from flowstream.types import Images, Vectors

SIZE = (48, 64)

# The optional output that each item belongs to.
_OUTPUTS = {
    "flow_backward": "backward",
    "consistent": "consistency",
    "homography": "camera",
    "inliers": "camera",
}


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


def write_fields(
    path: Path,
    fields: Vectors,
    *,
    images: Sequence[Images] | Images | None = None,
    quality: int = 95,
    codec: Codec = Centred8(),  # noqa: B008 - frozen
    step: int = 1,
    rate: float = 25.0,
    items: Mapping[str, NDArray[Any]] | None = None,
    **changes: Any,
) -> Path:
    """Write a stack of known fields.

    Parameters
    ----------
    path : path
        Its directory is created if missing.
    fields : (N, 2, H, W) array
    images : sequence of (H, W, 3) or (H, W) arrays, optional
        Frames, one more than fields.
    quality : int
        JPEG quality of the frames.
    codec : Codec
    step, rate : int, float
        Distance of the frames, in frames of the video, and their number per second.
    items : mapping from name to array, optional
        Optional items, such as `flow_backward`.
    changes
        Values of the header instead of those of `known_header`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    items = items or {}
    outputs = {_OUTPUTS[name] for name in items} | ({"rgb"} if images is not None else set())
    header = known_header(fields.shape[2:], codec, **{"sampling": {"step": step}, **changes})
    with create_stack(path, header, outputs=sorted(outputs)) as writer:
        for t in range(len(fields) + 1):
            jpeg = None if images is None else encode_jpeg(_to_rgb(images[t]), quality=quality)
            writer.add_frame(step * t, t / rate, jpeg)
        writer.add_fields(fields, **items)
    return path


def _to_rgb(image: Images) -> Images:
    return image if image.ndim == 3 else image[..., None].repeat(3, axis=2)


def make_stack(
    path: Path,
    *,
    speeds: tuple[float, ...] = (1.0, 2.0, 30.0),
    rgb: bool = True,
    codec: str = "centred8",
) -> Path:
    """Write a stack whose field k moves right at `speeds[k]` px/frame, at 25 frames per second."""
    fields = np.zeros((len(speeds), 2, *SIZE), np.float32)
    fields[:, 0] = np.array(speeds)[:, None, None]
    return write_fields(
        path,
        fields,
        images=[synthetic.texture(SIZE, seed=3)] * (len(speeds) + 1) if rgb else None,
        codec=CODECS[codec](),
        method={"name": "dis", "preset": "medium", "patch_size": None},
        sampling={"step": 1, "fps": None},
        source="clip.mp4",
        source_bytes=1234,
        source_size=(96, 128),
    )
