"""Each model of the table, small enough to be tried on a CPU."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from flowstream.models import MODELS

# Options that make a model small where it has them.
_TINY: dict[str, Any] = {
    "backbone": "small_cnn",
    "depth": 2,
    "features": 16,
    "heads": 2,
    "hidden": 8,
    "options": {"widths": (4, 6)},
    "patch": 8,
    "pretrained": False,
    "temporal_depth": 1,
    "width": 8,
    "widths": (4, 6),
}


def tiny_options(name: str) -> dict[str, Any]:
    """What makes it small."""
    known = {field.name for field in dataclasses.fields(cast(Any, MODELS[name]))}
    return {key: value for key, value in _TINY.items() if key in known}
