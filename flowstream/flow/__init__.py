"""Dense optical flow: methods, and operations on fields.

`METHODS[name](**parameters)` gives a callable on batches of frame pairs; see
`flowstream.flow.method` for the contract.
"""

from __future__ import annotations

from flowstream.flow.method import FlowMethod
from flowstream.plugins import Plugins

METHODS: Plugins[type[FlowMethod]] = Plugins(
    "flow method",
    {
        "tvl1": "flowstream.flow.tvl1:TVL1",
        "tvl1_opencv": "flowstream.flow.tvl1_opencv:TVL1OpenCV",
        "farneback": "flowstream.flow.farneback:Farneback",
        "dis": "flowstream.flow.dis:DIS",
        "raft": "flowstream.flow.raft:RAFT",
    },
    extras={"torch": "raft", "torchvision": "raft"},
)
"""Flow methods by name."""

__all__ = ["METHODS", "FlowMethod"]
