"""Optional outputs that are computed from flow: one file and one line in `OUTPUTS` for each.

`flowstream extract --NAME` stores an output. Recipes list outputs in `extract.outputs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import Plugins

if TYPE_CHECKING:
    from flowstream.store.outputs.output import Output

OUTPUTS: Plugins[type[Output]] = Plugins(
    "output",
    {
        "consistency": "flowstream.store.outputs.consistency:Consistency",
    },
)
"""Computed outputs by name."""

__all__ = ["OUTPUTS"]
