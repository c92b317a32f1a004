"""The contract of an input: which part of a stack becomes a clip."""

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
    """A kind of input; subclasses are frozen dataclasses of its parameters."""

    name: ClassVar[str]
    """Its name in INPUTS, and its key in an item."""

    kind: ClassVar[Kind]
    """Kind of its clips, which tells transforms how to treat them."""

    channels: ClassVar[int]
    """C of its clips."""

    uses_flow: ClassVar[bool]
    """True if its clips depend on the flow method and the codec."""

    extra_fields: ClassVar[int] = 0
    """Number of fields that a window needs in addition to the `frames` of the recipe."""

    @abstractmethod
    def num_frames(self, window: Window) -> int:
        """Return T of its clips."""

    @abstractmethod
    def read(self, stack: Stack, window: Window, start: int) -> Clip:
        """Return the clip of the window that starts at field `start`."""

    def check_window(self, window: Window) -> None:
        """Raise `ParameterError` if the input cannot be read from such windows."""
        self.num_frames(window)

    def check_stack(self, stack: Stack) -> None:  # noqa: B027  most need nothing
        """Raise `StackError` if the stack lacks what `read` needs."""

    def make_blank(self, window: Window, size: Size) -> Clip:
        """Return a clip of zeros, of the shape that `read` returns."""
        dtype = np.uint8 if self.kind == "rgb" else np.float32
        return Clip(self.kind, np.zeros((self.channels, self.num_frames(window), *size), dtype))


def check_has_rgb(stack: Stack) -> None:
    """Raise `StackError` if the stack has no RGB frames."""
    if not stack.has_rgb:
        raise StackError(f"{stack.path}: no RGB frames in the stack; extract again with --rgb")
