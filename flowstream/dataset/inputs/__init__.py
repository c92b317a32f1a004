"""Inputs of networks: one file and one line in `INPUTS` for each kind."""

from __future__ import annotations

from flowstream.dataset.inputs.clip_input import ClipInput
from flowstream.plugins import Plugins

INPUTS: Plugins[type[ClipInput]] = Plugins(
    "input",
    {
        "rgb": "flowstream.dataset.inputs.rgb:Rgb",
        "flow": "flowstream.dataset.inputs.flow:Flow",
        "rgb_difference": "flowstream.dataset.inputs.rgb_difference:RgbDifference",
    },
)
"""Inputs by name."""

__all__ = ["INPUTS", "ClipInput"]
