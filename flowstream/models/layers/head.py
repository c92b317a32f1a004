"""The last layer of a 2D network, made anew for other classes than ImageNet's."""

from __future__ import annotations

from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import replace_submodule


def replace_head(network: nn.Module, *, classes: int, dropout: float) -> nn.Module:
    """Put dropout and a new linear layer in the place of the last linear layer of a network.

    Dropout that the network itself has right before that layer is taken away, so that `dropout` is
    the whole rate. The new layer starts at random.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    classes : int
        K.
    dropout : float
        The fraction of features set to zero in training.

    Returns
    -------
    torch.nn.Module
        The new head, a part of `network`.

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
    """Refuse what is not a fraction of features to drop."""
    if not 0 <= rate < 1:
        raise ParameterError(f"dropout: got {rate}, expected 0 <= dropout < 1")
