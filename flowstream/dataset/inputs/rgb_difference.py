"""Differences of successive RGB frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flowstream.dataset.clip import Clip, Kind
from flowstream.dataset.inputs.clip_input import ClipInput, check_has_rgb
from flowstream.dataset.inputs.rgb import read_frames
from flowstream.dataset.window import Window
from flowstream.errors import ParameterError
from flowstream.store import Stack


@dataclass(frozen=True)
class RgbDifference(ClipInput):
    """Differences of RGB frames: clips of C = 3 and T = `frames`.

    The difference between successive frames shows motion roughly and needs no flow (Wang et al.
    2016, TSN, arXiv:1608.00859, section 3.2).

    Parameters
    ----------
    frames : int
        T, the number of differences, at most the L of the window: L + 1 frames are read.
    """

    name: ClassVar[str] = "rgb_difference"
    kind: ClassVar[Kind] = "difference"
    channels: ClassVar[int] = 3
    uses_flow: ClassVar[bool] = False
    # L differences need L + 1 frames, as many as the fields of a window of L + 1 start from.
    extra_fields: ClassVar[int] = 1

    frames: int = 5

    def num_frames(self, window: Window) -> int:
        """Return `frames`, after checking that they fit into the window."""
        if window.sampling == "spread":
            raise ParameterError(
                "sampling: got 'spread', expected 'segments' or 'dense': differences need "
                "successive frames"
            )
        window.frame_offset(self.frames + 1)
        return self.frames

    def read(self, stack: Stack, window: Window, start: int) -> Clip:
        """Return the differences in the middle of the window, from -255 to 255."""
        first = start + window.frame_offset(self.frames + 1)
        images = read_frames(stack, window, first, count=self.frames + 1)
        differences = np.diff(images.astype(np.float32), axis=0)
        return Clip(self.kind, np.moveaxis(differences, 3, 0))

    def check_stack(self, stack: Stack) -> None:
        """Raise `StackError` if the stack has no RGB frames."""
        check_has_rgb(stack)
