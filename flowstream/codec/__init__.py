"""Codecs: flow vectors to the codes that a stack file holds, and back.

`CODECS[name](**parameters)` gives a frozen dataclass; see `flowstream.codec.codec`.
"""

from __future__ import annotations

from flowstream.codec.codec import Codec, below_step_warning
from flowstream.plugins import Plugins

CODECS: Plugins[type[Codec]] = Plugins(
    "codec",
    {
        "centred8": "flowstream.codec.centred8:Centred8",
        "linear8": "flowstream.codec.linear8:Linear8",
        "fixed16": "flowstream.codec.fixed16:Fixed16",
        "float16": "flowstream.codec.float16:Float16",
        "float32": "flowstream.codec.float32:Float32",
    },
)
"""Codecs by name."""

__all__ = ["CODECS", "Codec", "below_step_warning"]
