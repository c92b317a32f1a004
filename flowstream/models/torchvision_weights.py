"""Torchvision's networks with torchvision's weights, which it keeps in torch's hub folder."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from flowstream.errors import CheckpointError, ParameterError


def torchvision_network(
    name: str, pretrained: bool | str, *, kind: str, instead: str = "", **settings: Any
) -> nn.Module:
    """One of torchvision's networks, random or with weights.

    Parameters
    ----------
    name : str
        Torchvision's.
    pretrained : bool or str
        Weights: none, the best known, or one of torchvision's names for them.
    kind : str
        What messages call the network: model, backbone.
    instead : str
        What else may be done where weights cannot be downloaded, ended by a comma.
    **settings
        Torchvision's, for the network.

    Raises
    ------
    ParameterError
        If it has no weights of that name.
    CheckpointError
        If they cannot be downloaded.
    """
    known = models.get_model_weights(name)
    if isinstance(pretrained, str) and pretrained not in known.__members__:
        listed = ", ".join(known.__members__)
        raise ParameterError(f"{kind} {name!r}: no weights {pretrained!r}; known: {listed}")
    if isinstance(pretrained, str):
        weights = known[pretrained]
    else:
        weights = known.DEFAULT if pretrained else None
    try:
        network: nn.Module = models.get_model(name, weights=weights, **settings)
    except (OSError, RuntimeError) as error:
        if weights is None:
            raise
        raise CheckpointError(
            f"{kind} {name!r}: its pretrained weights cannot be downloaded: {error}; "
            f"go online once,{instead} or set pretrained = false"
        ) from error
    return network
