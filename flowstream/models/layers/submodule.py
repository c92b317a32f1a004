"""Exchange of modules of a network for others, and of their modes for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, so that norms keep their statistics; then each part's own mode again."""
    training = {part: part.training for part in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for part, mode in training.items():
            part.training = mode


def replace_submodule(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` where `network` holds the one called `name`, as `named_modules` calls it."""
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, module)


def replace_everywhere(network: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put the other module where `network` holds each of these, under all names that it has."""
    for name, part in [*network.named_modules(remove_duplicate=False)]:
        if part in others:
            replace_submodule(network, name, others[part])
