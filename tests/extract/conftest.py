"""Small real videos to extract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flowstream.synthetic import texture, write_video

MakeClip = Callable[..., Path]


@pytest.fixture(scope="session")
def make_clip() -> MakeClip:
    """A function that writes a texture panning to the left, one pixel a frame."""

    def make(
        path: Path, *, frames: int = 5, size: tuple[int, int] = (32, 48), seed: int = 0
    ) -> Path:
        rows, columns = size
        image = texture((rows, columns + frames), seed=seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        shots = (image[:, start : start + columns] for start in range(frames))
        return write_video(path, shots, fps=10)

    return make
