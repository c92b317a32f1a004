"""Exchange of modules of a network for others."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn


def replace_submodule(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` where `network` holds the one called `name`, as `named_modules` calls it."""
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, module)


def replace_everywhere(network: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put the other module where `network` holds each of these, under all names that it has."""
    for name, part in [*network.named_modules(remove_duplicate=False)]:
        if part in others:
            replace_submodule(network, name, others[part])
