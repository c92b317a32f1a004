"""A small stack: what is put in, and the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.codec.centred8 import Centred8
from flowstream.store import Stack, create_stack, encode_jpeg, open_stack
from flowstream.types import Images, Vectors

SIZE = (20, 28)
FRAMES = 7


@dataclass(frozen=True)
class Content:
    """What goes into a stack."""

    frame_index: list[int]
    times: list[float]
    images: Images
    vectors: Vectors


def smooth_images(num_frames: int) -> Images:
    """Colour gradients that drift, as JPEG keeps well."""
    t, y, x = np.meshgrid(
        np.arange(num_frames), np.arange(SIZE[0]), np.arange(SIZE[1]), indexing="ij"
    )
    planes = (x * 9 + 5 * t, y * 12, 255 - x * 4 - y * 4 - 3 * t)
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def content() -> Content:
    rng = np.random.default_rng(11)
    vectors = rng.normal(0, 6, (FRAMES - 1, 2, *SIZE)).astype(np.float32)
    vectors[2] = 0
    vectors[3, 0, 4, 5] = 33.0
    return Content(
        frame_index=[0, 2, 4, 6, 8, 8, 11],
        times=[0.0, 0.08, 0.16, 0.24, 0.32, 0.36, 0.44],
        images=smooth_images(FRAMES),
        vectors=vectors,
    )


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, content: Content) -> Write:
    """Writes the content to a file of that name; keywords replace those of `create_stack`."""

    def write_stack(name: str = "clip.h5", *, batch: int = 2, **changes: Any) -> Path:
        path = tmp_path / name
        settings: dict[str, Any] = {
            "size": SIZE,
            "method": {"name": "dis", "preset": "medium"},
            "sampling": {"step": 2, "fps": None, "short_side": None, "size": list(SIZE)},
            "codec": Centred8(),
            "source": "run/clip.mp4",
            "source_bytes": 12345,
            "fps": 25.0,
            "source_size": (240, 336),
            **changes,
        }
        with create_stack(path, **settings) as writer:
            for index, seconds, image in zip(
                content.frame_index, content.times, content.images, strict=True
            ):
                jpeg = encode_jpeg(image) if settings.get("rgb", True) else None
                writer.add_frame(index, seconds, jpeg)
            for start in range(0, FRAMES - 1, batch):
                vectors = content.vectors[start : start + batch]
                writer.add_fields(vectors)
                if writer.backward:
                    writer.add_backward_fields(-vectors)
                if writer.consistency:
                    writer.add_consistency(vectors[:, 0] > 0)
                if writer.stabilised:
                    count = len(vectors)
                    writer.add_cameras(np.tile(np.eye(3), (count, 1, 1)), np.ones(count, "f4"))
        return path

    return write_stack


@pytest.fixture
def stack(write: Write) -> Iterator[Stack]:
    with open_stack(write()) as opened:
        yield opened
