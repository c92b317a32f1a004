"""Dense optical flow: methods, and operations on fields.

`METHODS[name](**parameters)` returns a callable that estimates flow for batches of frame pairs; the
contract is in `flowstream.flow.method`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.flow.method import FlowMethod
from flowstream.plugins import Plugins

if TYPE_CHECKING:
    from flowstream.flow.camera import Stabiliser

METHODS: Plugins[type[FlowMethod]] = Plugins(
    "flow method",
    {
        "tvl1": "flowstream.flow.tvl1:TVL1",
        "tvl1_opencv": "flowstream.flow.tvl1_opencv:TVL1OpenCV",
        "farneback": "flowstream.flow.farneback:Farneback",
        "dis": "flowstream.flow.dis:DIS",
        "raft": "flowstream.flow.raft:RAFT",
        "ptlflow": "flowstream.flow.ptlflow:PTLFlow",
    },
    extras={"torch": "raft", "torchvision": "raft"},
)
"""Flow methods by name."""

STABILISERS: Plugins[type[Stabiliser]] = Plugins(
    "stabiliser", {"homography": "flowstream.flow.camera:Stabiliser"}
)
"""Estimators of camera motion by name."""

__all__ = ["METHODS", "STABILISERS", "FlowMethod"]
