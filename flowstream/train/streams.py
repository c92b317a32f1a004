"""Streams and their inputs."""

from __future__ import annotations

from flowstream.dataset.inputs import INPUTS

BOTH = "both"
"""Stream of networks that take RGB and flow together."""


def stream_inputs(stream: str) -> tuple[str, ...]:
    """Return the keys of `INPUTS` that a stream takes."""
    return ("rgb", "flow") if stream == BOTH else (stream,)


def sees_flow(stream: str) -> bool:
    """Return True if the clips of a stream depend on the flow method and the codec."""
    return any(INPUTS[name].uses_flow for name in stream_inputs(stream))
