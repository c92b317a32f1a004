"""Interface of an input, which reads clips from a stack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from flowstream.dataset.clip import Clip, Kind
from flowstream.dataset.window import Window
from flowstream.errors import StackError
from flowstream.store import Stack
from flowstream.types import Size


class ClipInput(ABC):
    """Input of networks; subclasses are frozen dataclasses with its parameters."""

    name: ClassVar[str]
    """Name in INPUTS, and key in an item."""

    kind: ClassVar[Kind]
    """Kind of the clips, which determines how transforms change them."""

    channels: ClassVar[int]
    """C, the number of channels of the clips."""

    uses_flow: ClassVar[bool]
    """True if the clips depend on the flow method and the codec."""

    extra_fields: ClassVar[int] = 0
    """Number of fields that a window needs in addition to the `frames` of the recipe."""

    @abstractmethod
    def num_frames(self, window: Window) -> int:
        """Return T, the number of frames of the clips."""

    @abstractmethod
    def read(self, stack: Stack, window: Window, start: int) -> Clip:
        """Return the clip of the window that starts at field `start`."""

    def check_window(self, window: Window) -> None:
        """Raise `ParameterError` if the input cannot be read from such windows."""
        self.num_frames(window)

    def check_stack(self, stack: Stack) -> None:  # noqa: B027  most need nothing
        """Raise `StackError` if the stack lacks data that `read` needs."""

    def make_blank(self, window: Window, size: Size) -> Clip:
        """Return a clip of zeros, of the shape that `read` returns."""
        dtype = np.uint8 if self.kind == "rgb" else np.float32
        return Clip(self.kind, np.zeros((self.channels, self.num_frames(window), *size), dtype))


def check_has_rgb(stack: Stack) -> None:
    """Raise `StackError` if the stack has no RGB frames."""
    if not stack.has_rgb:
        raise StackError(f"{stack.path}: no RGB frames in the stack; extract again with --rgb")
