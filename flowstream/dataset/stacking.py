"""Flow clips from the fields of a window: the variants of Simonyan & Zisserman 2014.

Section 3 of arXiv:1406.2199; each variant gives a clip of the same shape. Their third variant, mean
flow subtraction, can be combined with any of them: `transforms.SubtractMeanFlow`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flowstream.dataset.window import Window
from flowstream.errors import ParameterError, StackError
from flowstream.flow import motion
from flowstream.plugins import Plugins
from flowstream.store import Stack
from flowstream.types import Size, Vectors


class ReadFields(Protocol):
    """Function that reads the fields (L, 2, H, W) of a window, float32 pixels."""

    def __call__(
        self, stack: Stack, window: Window, start: int, *, camera_added: bool = False
    ) -> Vectors:
        """Return the fields of the window that starts at `start`.

        With `camera_added`, the camera's motion is added to the fields of a stack that was
        extracted without it.
        """


@dataclass(frozen=True)
class Stacking:
    """Variant of stacking.

    Parameters
    ----------
    read : ReadFields
    both_ways : bool
        True if the variant needs backward flow and an even number of fields.
    in_runs : bool
        True if the variant can be read from a window that is spread over the video.
    """

    read: ReadFields
    both_ways: bool = False
    in_runs: bool = False

    def check_window(self, window: Window) -> None:
        """Raise `ParameterError` if the variant cannot be read from the window."""
        if window.sampling == "spread" and not self.in_runs:
            raise ParameterError(
                "sampling: got 'spread', expected 'segments' or 'dense' for this stacking, which "
                "needs all fields of the window"
            )
        if self.both_ways and window.length % 2:
            raise ParameterError(
                f"length: got {window.length} fields, expected an even number: bidirectional "
                "stacking takes half of them forward and half backward"
            )

    def check_stack(self, stack: Stack) -> None:
        """Raise `StackError` if the stack lacks backward flow that is needed."""
        if self.both_ways and not stack.has_backward:
            raise StackError(
                f"{stack.path}: no backward flow in the stack, which bidirectional stacking needs; "
                "extract again with --backward"
            )


def _read_flow(stack: Stack, window: Window, start: int, *, camera_added: bool = False) -> Vectors:
    """Return the fields as they are (equation 1)."""
    if window.sampling == "spread":
        return _read_runs(stack, window, start, camera_added=camera_added)
    return _select(_read_span(stack, window, start, camera_added=camera_added), window)


def _read_trajectory(
    stack: Stack, window: Window, start: int, *, camera_added: bool = False
) -> Vectors:
    """Return the fields sampled along the trajectories of the first frame's pixels (equation 2).

    A trajectory passes through all fields of the window, also those between selected fields. In a
    video that is looped, it starts again with the video. If the camera's motion was removed from
    the fields, the trajectories still include it.
    """
    fields = _read_span(stack, window, start, camera_added=camera_added)
    carried_by = None
    if stack.stabiliser is not None and not camera_added:
        carried_by = _add_camera(stack, fields, start)
    return _select(motion.along_trajectories(fields, carried_by=carried_by), window)


def _read_bidirectional(
    stack: Stack, window: Window, start: int, *, camera_added: bool = False
) -> Vectors:
    """Return half of the fields forward from the window's middle frame, half backward from it.

    With L fields and the middle frame t, the fields are t to t + 1, and so on up to t + L/2; then t
    to t - 1, and so on down to t - L/2. The paper does not specify their order; here, both halves
    start at the middle.
    """
    if camera_added:
        raise ParameterError(
            "camera: got 'added' with bidirectional stacking, expected 'stored' or 'removed'"
        )
    half, step = window.length // 2, window.step
    middle = start + half * step
    if window.span > stack.num_fields:
        number = stack.num_fields
        ahead = window.indices(middle, half, step=step, num_fields=number)
        behind = window.indices(middle - 1, half, step=-step, num_fields=number)
        fields = _read_fields(stack.window, 0, number, size=stack.size)
        back = _read_fields(stack.backward_window, 0, number, size=stack.size)
        return np.concatenate([fields[ahead], back[behind]])
    length = (half - 1) * step + 1
    fields = _read_fields(stack.window, middle, length, size=stack.size)[::step]
    back = _read_fields(stack.backward_window, middle - length, length, size=stack.size)
    return np.concatenate([fields, back[::-step]])


FLOW = Stacking(_read_flow, in_runs=True)
TRAJECTORY = Stacking(_read_trajectory)
BIDIRECTIONAL = Stacking(_read_bidirectional, both_ways=True)

STACKINGS: Plugins[Stacking] = Plugins(
    "stacking",
    {
        "flow": f"{__name__}:FLOW",
        "trajectory": f"{__name__}:TRAJECTORY",
        "bidirectional": f"{__name__}:BIDIRECTIONAL",
    },
)
"""Variants by name."""


def _read_span(stack: Stack, window: Window, start: int, *, camera_added: bool) -> Vectors:
    """Return every field from the window's first to its last, or all of a shorter video."""
    length = min(window.span, stack.num_fields)
    fields = _read_fields(stack.window, start, length, size=stack.size)
    return _add_camera(stack, fields, start) if camera_added else fields


def _read_runs(stack: Stack, window: Window, first: int, *, camera_added: bool) -> Vectors:
    """Return the fields of the runs of a window that is spread over the video."""
    length = min(window.run, stack.num_fields)
    order = window.indices(0, window.run, step=1, num_fields=length)
    runs = []
    for start in window.run_starts(stack.num_fields, first):
        fields = _read_fields(stack.window, start, length, size=stack.size)
        runs.append((_add_camera(stack, fields, start) if camera_added else fields)[order])
    return np.concatenate(runs)


def _add_camera(stack: Stack, fields: Vectors, start: int) -> Vectors:
    """Return the fields with the recorded camera motion."""
    cameras = stack.homographies[start : start + len(fields)]
    pairs = zip(fields, cameras, strict=True)
    return np.stack([motion.with_camera(field, camera) for field, camera in pairs])


def _select(fields: Vectors, window: Window) -> Vectors:
    """Return the fields that the window selects; fields of a shorter video are repeated."""
    number = len(fields)
    if number < window.span:
        return fields[window.indices(0, window.length, step=window.step, num_fields=number)]
    return fields[:: window.step]


def _read_fields(
    read: Callable[[int, int], Vectors], start: int, length: int, *, size: Size
) -> Vectors:
    return read(start, length).reshape(length, 2, *size)
