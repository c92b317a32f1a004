"""What of a window's flow becomes a clip: the stacking variants of Simonyan & Zisserman 2014.

Section 3 of arXiv:1406.2199; each variant gives a clip of the same shape. Their third variant, mean
flow subtraction, goes with any of them: `transforms.SubtractMeanFlow`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flowstream.dataset.window import Window, looped
from flowstream.errors import ParameterError, StackError
from flowstream.flow import motion
from flowstream.plugins import Plugins
from flowstream.store import Stack
from flowstream.types import Size, Vectors


@dataclass(frozen=True)
class Stacking:
    """One variant.

    Parameters
    ----------
    read : function of a stack, a window and its first field
        Gives the clip's fields, `(L, 2, H, W)` float32 pixels.
    both_ways : bool
        Whether it needs the flow back, and an even number of fields.
    """

    read: Callable[[Stack, Window, int], Vectors]
    both_ways: bool = False

    def check_window(self, window: Window) -> None:
        """Refuse a window that it cannot be divided into.

        Raises
        ------
        ParameterError
        """
        if self.both_ways and window.length % 2:
            raise ParameterError(
                f"length: got {window.length} fields, expected an even number: bidirectional "
                "stacking takes half of them forward and half backward"
            )

    def check_stack(self, stack: Stack) -> None:
        """Refuse a stack that lacks what it needs.

        Raises
        ------
        StackError
        """
        if self.both_ways and not stack.has_backward:
            raise StackError(
                f"{stack.path}: no backward flow in it, which bidirectional stacking needs; "
                "extract with --backward"
            )


def _flow(stack: Stack, window: Window, start: int) -> Vectors:
    """The fields as they are (equation 1)."""
    return _taken(_whole(stack, window, start), window)


def _trajectory(stack: Stack, window: Window, start: int) -> Vectors:
    """The fields sampled along the trajectories of the first frame's pixels (equation 2).

    A trajectory goes through all fields of the window, also those between two that are taken. In a
    video that is looped, it starts anew with the video. Where the camera's motion was taken out of
    the fields, it still moves the pixels.
    """
    fields = _whole(stack, window, start)
    carried_by = None
    if stack.stabiliser is not None:
        cameras = stack.homographies[start : start + len(fields)]
        pairs = zip(fields, cameras, strict=True)
        carried_by = np.stack([motion.with_camera(field, camera) for field, camera in pairs])
    return _taken(motion.along_trajectories(fields, carried_by=carried_by), window)


def _bidirectional(stack: Stack, window: Window, start: int) -> Vectors:
    """Half of the fields forward from the window's middle frame, half back from it.

    Of L fields, with t the middle frame: t to t + 1, and on to t + L/2; then t to t - 1, and back
    to t - L/2. The paper leaves their order open: both halves lead away from the middle.
    """
    half, step = window.length // 2, window.step
    middle = start + half * step
    if window.span > stack.num_fields:
        number = stack.num_fields
        forward = looped(middle, half, step=step, num_fields=number)
        behind = looped(middle - 1, half, step=-step, num_fields=number)
        fields = _fields(stack.window, 0, number, size=stack.size)
        back = _fields(stack.backward_window, 0, number, size=stack.size)
        return np.concatenate([fields[forward], back[behind]])
    length = (half - 1) * step + 1
    fields = _fields(stack.window, middle, length, size=stack.size)[::step]
    back = _fields(stack.backward_window, middle - length, length, size=stack.size)
    return np.concatenate([fields, back[::-step]])


FLOW = Stacking(_flow)
TRAJECTORY = Stacking(_trajectory)
BIDIRECTIONAL = Stacking(_bidirectional, both_ways=True)

STACKINGS: Plugins[Stacking] = Plugins(
    "stacking",
    {
        "flow": f"{__name__}:FLOW",
        "trajectory": f"{__name__}:TRAJECTORY",
        "bidirectional": f"{__name__}:BIDIRECTIONAL",
    },
)
"""The variants by name."""


def _whole(stack: Stack, window: Window, start: int) -> Vectors:
    """Every field from the window's first to its last, or of a shorter video."""
    return _fields(stack.window, start, min(window.span, stack.num_fields), size=stack.size)


def _taken(fields: Vectors, window: Window) -> Vectors:
    """Those of a window's fields that it takes, a shorter video's over and over."""
    number = len(fields)
    if number < window.span:
        return fields[looped(0, window.length, step=window.step, num_fields=number)]
    return fields[:: window.step]


def _fields(read: Callable[[int, int], Vectors], start: int, length: int, *, size: Size) -> Vectors:
    return read(start, length).reshape(length, 2, *size)
