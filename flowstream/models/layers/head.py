"""Replacement of the last layer of a 2D network, for another number of classes."""

from __future__ import annotations

from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import replace_submodule


def replace_head(network: nn.Module, *, classes: int, dropout: float) -> nn.Module:
    """Replace the last linear layer of a network by dropout and a new linear layer.

    Dropout of the network directly before that layer is removed, so that `dropout` is the total
    rate. The new layer has random weights.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    classes : int
        Number of classes K.
    dropout : float
        Fraction of features that is set to zero during training.

    Returns
    -------
    torch.nn.Module
        New head, a part of `network`.

    Raises
    ------
    ParameterError
        If there is no linear layer, or `dropout` is not in [0, 1).
    """
    check_dropout(dropout)
    leaves = [(name, part) for name, part in network.named_modules() if not any(part.children())]
    last = max((i for i, (_, part) in enumerate(leaves) if isinstance(part, nn.Linear)), default=-1)
    if last < 0:
        raise ParameterError(f"{type(network).__name__}: expected a network with a linear layer")
    name, linear = leaves[last]
    assert isinstance(linear, nn.Linear)
    before, part = leaves[last - 1]
    if isinstance(part, nn.Dropout):
        replace_submodule(network, before, nn.Identity())
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(linear.in_features, classes))
    replace_submodule(network, name, head)
    return head


def check_dropout(rate: float) -> None:
    """Raise `ParameterError` unless a dropout rate is in [0, 1)."""
    if not 0 <= rate < 1:
        raise ParameterError(f"dropout: expected at least 0 and below 1, got {rate}")
