"""Measured facts of each model for `flowstream list models`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from flowstream.models import MODELS
from flowstream.models.inspect.describe import describe
from flowstream.models.model import ClipShape

# Clip size of Tran et al. 2015, arXiv:1412.0767, section 3.2.
FRAMES, SIDE = 16, 112
CLASSES = 101


@cache
def measure(name: str) -> dict[str, Any]:
    """Return size, cost, inputs and paper of a model with default options."""
    model = MODELS[name]()
    both = len(model.streams) > 1
    frames = max(FRAMES, model.min_clip[0])
    clip = ClipShape(2 if both else 3, frames, SIDE, SIDE)
    traced = describe(model, clip, CLASSES, receptive_field=False)
    return {
        "parameters": traced.parameters,
        "flops": traced.flops,
        "flops_for": [list(shape.lengths) for shape in traced.inputs],
        "streams": "RGB and flow" if both else "RGB or flow",
        "smallest": list(model.min_clip),
        "sees_order": model.sees_order,
        "paper": model.paper,
    }


def lines(facts: Mapping[str, Any]) -> list[str]:
    """Format the facts as lines of text."""
    given = " and ".join("x".join(map(str, lengths)) for lengths in facts["flops_for"])
    least = "x".join(map(str, facts["smallest"]))
    order = "sees" if facts["sees_order"] else "does not see"
    return [
        f"takes {facts['streams']}, TxHxW at least {least}; {order} the order of frames",
        f"{facts['parameters'] / 1e6:.3g} M parameters, {facts['flops'] / 1e9:.3g} GFLOPs for "
        f"{given}",
        str(facts["paper"]),
    ]
