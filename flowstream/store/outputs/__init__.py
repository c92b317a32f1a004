"""Optional outputs that are computed from flow: one file and one line in `OUTPUTS` for each.

`flowstream extract --NAME` stores an output. Recipes list outputs in `extract.outputs`.
"""

from __future__ import annotations

from flowstream.plugins import Plugins
from flowstream.store.outputs.output import Output

OUTPUTS: Plugins[type[Output]] = Plugins(
    "output",
    {
        "consistency": "flowstream.store.outputs.consistency:Consistency",
    },
)
"""Computed outputs by name."""

__all__ = ["OUTPUTS", "Output"]
