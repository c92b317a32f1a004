"""Exchange of one module of a network for another."""

from __future__ import annotations

from torch import nn


def replace_submodule(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` where `network` holds the one called `name`, as `named_modules` calls it."""
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, module)
