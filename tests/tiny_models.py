"""Options that make each model small enough for tests on a CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

from flowstream.models import MODELS

# Applied to the models that have these options.
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
    """Return the options that make a model small."""
    known = {field.name for field in dataclasses.fields(cast(Any, MODELS[name]))}
    return {key: value for key, value in _TINY.items() if key in known}


@contextmanager
def single_thread() -> Iterator[None]:
    """Use one thread, which is faster for networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
