"""Clips to draw: the fields of a stack, or one field from a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flowstream.flow.files import read_flow
from flowstream.store import Stack, open_stack
from flowstream.types import Images, Size, Vectors
from flowstream.view.moment import Moment, Style

FLOW_SUFFIXES = frozenset({".flo", ".pfm", ".png"})
"""Files of a single field."""


@dataclass(frozen=True, eq=False)
class Clip:
    """The fields of a stack, or a single field.

    Parameters
    ----------
    name : str
        For captions.
    method : str
        The flow method and its main parameter; "" if unknown.
    size : (rows, columns)
    frames : tuple of int
        Index of each frame in the source video.
    times : tuple of float
        Time of each frame, seconds.
    stack : Stack, optional
    single : (2, H, W), float32, optional
        The field of a clip without a stack.
    skipped : int
        Fields of the video before the first field of the stack.
    """

    name: str
    method: str
    size: Size
    frames: tuple[int, ...]
    times: tuple[float, ...]
    stack: Stack | None = None
    single: Vectors | None = None
    skipped: int = 0

    @property
    def num_fields(self) -> int:
        """Number of fields."""
        return len(self.frames) - 1

    @property
    def is_timed(self) -> bool:
        """True if the frames have times."""
        return self.times[-1] > self.times[0]

    @property
    def has_frames(self) -> bool:
        """True if the frames' images are stored."""
        return self.stack is not None and self.stack.has_rgb

    @property
    def fields_per_second(self) -> float | None:
        """Mean number of fields per second of video; None if the frames have no times."""
        span = self.times[-1] - self.times[0]
        return self.num_fields / span if span > 0 else None

    def field(self, k: int) -> Vectors:
        """Return field k, `(2, H, W)` float32."""
        if self.stack is None:
            assert self.single is not None
            return self.single
        return self.stack.field(k)

    def frame(self, t: int) -> Images | None:
        """Return frame t, `(H, W, 3)` uint8 RGB; None where images are not stored."""
        return self.stack.rgb(t) if self.stack is not None and self.has_frames else None

    def moment(self, k: int, style: Style, *, scale: float, factor: int = 1) -> Moment:
        """Return field k with all that a style needs."""
        following: tuple[Vectors, ...] = ()
        if style.fields > 1 and self.stack is not None:
            length = min(style.fields, self.num_fields - k)
            window = self.stack.window(k, length).reshape(length, 2, *self.size)
            following = tuple(window)
        stack = self.stack
        camera = None
        if stack is not None and stack.stabiliser is not None:
            camera = stack.homographies[k]
        return Moment(
            vectors=self.field(k),
            scale=scale,
            first=self.frame(k),
            second=self.frame(k + 1) if style.needs_frames else None,
            following=following,
            camera=camera,
            factor=factor,
        )

    def caption(self, k: int) -> str:
        """Return the clip's name, field, frames, time and method in one line."""
        if self.stack is None:
            return self.name
        parts = [self.name, f"field {k + self.skipped}"]
        parts.append(f"frames {self.frames[k]} to {self.frames[k + 1]}")
        if self.is_timed:
            parts.append(f"{self.times[k]:.2f} s")
        return "  ·  ".join([*parts, *([self.method] if self.method else [])])


@contextmanager
def open_clip(path: str | Path, *, name: str | None = None, skipped: int = 0) -> Iterator[Clip]:
    """Open a stack, or a `.flo`, `.pfm` or KITTI `.png` file, for drawing.

    Raises
    ------
    StackError, FlowFileError
        If the file is not one.
    """
    path = Path(path)
    if path.suffix.lower() in FLOW_SUFFIXES:
        vectors = read_flow(path)
        rows, columns = vectors.shape[1:]
        yield Clip(
            name=name or path.name,
            method="",
            size=(rows, columns),
            frames=(0, 1),
            times=(0.0, 0.0),
            single=vectors,
        )
        return
    with open_stack(path) as stack:
        yield Clip(
            name=name or path.stem,
            method=describe_method(stack.method),
            size=stack.size,
            frames=tuple(int(index) for index in stack.frame_index),
            times=tuple(float(time) for time in stack.time),
            stack=stack,
            skipped=skipped,
        )


def describe_method(method: dict[str, Any]) -> str:
    """Return the name of a flow method and its preset: `tvl1 fast`."""
    return " ".join(str(method[key]) for key in ("name", "preset") if method.get(key))


def sample_fields(clip: Clip, chosen: range, *, most: int) -> list[int]:
    """Return at most so many of the chosen fields, evenly spread."""
    if len(chosen) <= most:
        return list(chosen)
    places = np.linspace(0, len(chosen) - 1, most).round().astype(int)
    return [chosen[int(place)] for place in places]
