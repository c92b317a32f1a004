"""RGB frames from the middle of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flowstream.dataset.clip import Clip, Kind
from flowstream.dataset.inputs.clip_input import ClipInput, check_has_rgb
from flowstream.dataset.window import Window
from flowstream.errors import ParameterError
from flowstream.store import Stack
from flowstream.types import Images


@dataclass(frozen=True)
class Rgb(ClipInput):
    """RGB frames: clips of C = 3 and T = `frames`.

    Parameters
    ----------
    frames : int
        T. 1, for a spatial stream, selects the middle frame of the window. L, for 3D models,
        selects the first frame of each field of the window.
    """

    name: ClassVar[str] = "rgb"
    kind: ClassVar[Kind] = "rgb"
    channels: ClassVar[int] = 3
    uses_flow: ClassVar[bool] = False

    frames: int = 1

    def num_frames(self, window: Window) -> int:
        """Return `frames`, after checking that they fit into the window."""
        if window.sampling == "spread" and self.frames not in (1, window.length):
            raise ParameterError(
                f"frames: got {self.frames}, expected 1 or {window.length}, the length of the "
                "window that is spread over the video"
            )
        window.frame_offset(self.frames)
        return self.frames

    def read(self, stack: Stack, window: Window, start: int) -> Clip:
        """Return the frames in the middle of the window."""
        if window.sampling == "spread" and self.frames > 1:
            return Clip(self.kind, np.moveaxis(_read_runs(stack, window, start), 3, 0))
        first = start + window.frame_offset(self.frames)
        images = read_frames(stack, window, first, count=self.frames)
        return Clip(self.kind, np.moveaxis(images, 3, 0))

    def check_stack(self, stack: Stack) -> None:
        """Raise `StackError` if the stack has no RGB frames."""
        check_has_rgb(stack)


def _read_runs(stack: Stack, window: Window, first: int) -> Images:
    """Return the frames that the fields of the window start from: (T, H, W, 3)."""
    length = min(window.run, stack.num_fields)
    order = window.indices(0, window.run, step=1, num_fields=length)
    starts = window.run_starts(stack.num_fields, first)
    return np.stack([stack.rgb(start + int(index)) for start in starts for index in order])


def read_frames(stack: Stack, window: Window, first: int, *, count: int) -> Images:
    """Return `count` frames (T, H, W, 3) from frame `first` on, the window's step apart."""
    indices = first + window.step * np.arange(count)
    if window.span > stack.num_fields:
        indices = window.indices(first, count, step=window.step, num_fields=stack.num_fields)
    return np.stack([stack.rgb(int(index)) for index in indices])
