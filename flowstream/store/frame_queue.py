"""Frames that wait to be stored together, because each call that stores takes its time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flowstream.errors import ParameterError, StackError
from flowstream.store.jpeg import jpeg_size
from flowstream.types import Size


class FrameQueue:
    """Checked frames of a stack that are not stored yet.

    Parameters
    ----------
    path : Path
        For messages.
    size : Size
        Rows and columns of the images.
    has_rgb : bool
        Whether each frame has an image.
    """

    def __init__(self, path: Path, size: Size, *, has_rgb: bool) -> None:
        self._path = path
        self._size = size
        self._has_rgb = has_rgb
        self._frames: list[tuple[int, float, bytes]] = []
        self._last_index = 0
        self._image_end = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, index: int, seconds: float, jpeg: bytes | None) -> None:
        """Add a frame; see `StackWriter.add_frame`."""
        if index < self._last_index:
            raise ParameterError(f"{self._path}: got frame {index} after frame {self._last_index}")
        if not math.isfinite(seconds):
            raise ParameterError(f"{self._path}: frame {index}: got time {seconds}")
        if (jpeg is not None) != self._has_rgb:
            seen, expected = ("no", "one") if jpeg is None else ("an", "none")
            raise StackError(f"{self._path}: frame {index}: got {seen} image, expected {expected}")
        if jpeg is not None and (size := jpeg_size(jpeg)) != self._size:
            raise StackError(
                f"{self._path}: image of {size} rows and columns, expected {self._size}"
            )
        self._frames.append((index, seconds, jpeg or b""))
        self._last_index = index

    def take(self) -> dict[str, ArrayLike]:
        """Return the values of the items of all waiting frames, by name, and forget the frames."""
        if not self._frames:
            return {}
        indices, seconds, images = zip(*self._frames, strict=True)
        self._frames.clear()
        values: dict[str, Any] = {"frame": indices, "time": seconds}
        if self._has_rgb:
            ends = self._image_end + np.cumsum([len(jpeg) for jpeg in images])
            self._image_end = int(ends[-1])
            values |= {"rgb": np.frombuffer(b"".join(images), np.uint8), "rgb_end": ends}
        return values
