"""Replacement of modules in a network, and a temporary evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Set evaluation mode within the context; restore the mode of each part afterwards."""
    training = {part: part.training for part in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for part, mode in training.items():
            part.training = mode


def replace_submodule(network: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the module of a network that `named_modules` calls `name`."""
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, module)


def replace_everywhere(network: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Replace modules of a network by others, under all names that they have."""
    for name, part in [*network.named_modules(remove_duplicate=False)]:
        if part in others:
            replace_submodule(network, name, others[part])
