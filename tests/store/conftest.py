"""A small stack: what is put in, and the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.codec.centred8 import Centred8
from flowstream.store import Header, Stack, create_stack, encode_jpeg, open_stack
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


def make_header(**changes: Any) -> Header:
    """Return the header of the small stack; keywords replace its fields."""
    fields: dict[str, Any] = {
        "size": SIZE,
        "method": {"name": "dis", "preset": "medium"},
        "sampling": {"step": 2, "fps": None, "short_side": None, "size": list(SIZE)},
        "codec": Centred8(),
        "source": "run/clip.mp4",
        "source_bytes": 12345,
        "fps": 25.0,
        "source_size": (240, 336),
    }
    return Header(**{**fields, **changes})


def optional_values(vectors: Vectors, outputs: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return values for the optional outputs of some fields."""
    count = len(vectors)
    values: dict[str, NDArray[Any]] = {}
    if "backward" in outputs:
        values["flow_backward"] = -vectors
    if "consistency" in outputs:
        values["consistent"] = vectors[:, 0] > 0
    if "camera" in outputs:
        values |= {"homography": np.tile(np.eye(3), (count, 1, 1)), "inliers": np.ones(count, "f4")}
    return values


@pytest.fixture
def write(tmp_path: Path, content: Content) -> Write:
    """Write the content to a file of that name; keywords are fields of the header."""

    def write_stack(
        name: str = "clip.h5",
        *,
        batch: int = 2,
        outputs: Collection[str] = ("rgb",),
        **changes: Any,
    ) -> Path:
        path = tmp_path / name
        with create_stack(path, make_header(**changes), outputs=outputs) as writer:
            for index, seconds, image in zip(
                content.frame_index, content.times, content.images, strict=True
            ):
                writer.add_frame(index, seconds, encode_jpeg(image) if "rgb" in outputs else None)
            for start in range(0, FRAMES - 1, batch):
                vectors = content.vectors[start : start + batch]
                writer.add_fields(vectors, **optional_values(vectors, outputs))
            if "corrupt" in outputs:
                writer.add_values("corrupt", [2, 8])
        return path

    return write_stack


@pytest.fixture
def stack(write: Write) -> Iterator[Stack]:
    with open_stack(write()) as opened:
        yield opened
