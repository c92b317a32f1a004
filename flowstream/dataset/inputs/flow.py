"""Stacked flow fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from flowstream.dataset.clip import Clip, Kind
from flowstream.dataset.inputs.clip_input import ClipInput
from flowstream.dataset.stacking import STACKINGS
from flowstream.dataset.window import Window
from flowstream.errors import StackError
from flowstream.store import Stack

Camera = Literal["stored", "removed", "added"]


@dataclass(frozen=True)
class Flow(ClipInput):
    """Windows of L flow fields: clips of C = 2 and T = L.

    Parameters
    ----------
    stacking : str
        A key of `STACKINGS`: "flow" uses the unchanged fields, "trajectory" samples them along the
        paths of the first frame's pixels, "bidirectional" uses forward flow after the middle frame
        and backward flow before it.
    camera : "stored", "removed" or "added"
        "stored" uses the stored fields. "removed" is the warped flow of TSN (arXiv:1608.00859,
        section 3.2): it requires stacks that were extracted without the camera's motion. "added"
        adds the camera's motion to the fields of such stacks, so that both streams can use the same
        stacks.
    """

    name: ClassVar[str] = "flow"
    kind: ClassVar[Kind] = "flow"
    channels: ClassVar[int] = 2
    uses_flow: ClassVar[bool] = True

    stacking: str = "flow"
    camera: Camera = "stored"

    def num_frames(self, window: Window) -> int:
        """Return L, after checking that the stacking can divide the window."""
        STACKINGS[self.stacking].check_window(window)
        return window.length

    def read(self, stack: Stack, window: Window, start: int) -> Clip:
        """Return the fields of the window."""
        camera_added = self.camera == "added"
        fields = STACKINGS[self.stacking].read(stack, window, start, camera_added=camera_added)
        return Clip(self.kind, fields.swapaxes(0, 1))

    def check_stack(self, stack: Stack) -> None:
        """Raise `StackError` if the stack lacks backward flow or the camera's motion."""
        STACKINGS[self.stacking].check_stack(stack)
        if self.camera != "stored" and stack.stabiliser is None:
            raise StackError(
                f"{stack.path}: the camera's motion is not recorded in the stack; extract again "
                "with --stabilise homography"
            )
