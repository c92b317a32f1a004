"""Trees of empty files for the tests of splits, and small real stacks for those of clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowstream.codec.float32 import Float32
from flowstream.dataset.split import Sample
from flowstream.types import Size
from tests.small_stack import write_fields

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """`tree("a/b", "c")` makes empty stacks a/b.h5 and c.h5 and returns their root."""

    def make(*names: str, suffix: str = ".h5", root: str = "stacks") -> Path:
        for name in names:
            path = tmp_path / root / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / root

    return make


@pytest.fixture
def lists(tmp_path: Path) -> Callable[..., Path]:
    """`lists({"a.txt": text})` writes split files, CRLF kept, and returns their folder."""

    def write(texts: dict[str, str | bytes], folder: str = "lists") -> Path:
        for name, text in texts.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / folder

    return write


Stacks = Callable[..., tuple[Sample, ...]]


@pytest.fixture
def stacks(tmp_path: Path) -> Stacks:
    """`stacks(5, 7)` writes stacks of 5 and 7 fields that tell where they are read.

    Field k of video n has dx = k and dy = 100 n + k everywhere; the image of frame t is grey 5 t.
    """

    def write(
        *lengths: int,
        size: Size = (12, 16),
        method: str = "known",
        rgb: bool = True,
        folder: str = "stacks",
    ) -> tuple[Sample, ...]:
        (tmp_path / folder).mkdir(exist_ok=True)
        samples = []
        for n, length in enumerate(lengths):
            path = tmp_path / folder / f"{n}.h5"
            k = np.arange(length, dtype=np.float32)
            fields = np.stack([k, 100 * n + k], axis=1)[:, :, None, None]
            images = [np.full((*size, 3), 5 * t, np.uint8) for t in range(length + 1)]
            write_fields(
                path,
                np.broadcast_to(fields, (length, 2, *size)).copy(),
                images=images if rgb else None,
                codec=Float32(),
                method={"name": method},
                source=f"{n}.mp4",
            )
            samples.append(Sample(str(n), n % 2, str(n), path))
        return tuple(samples)

    return write
