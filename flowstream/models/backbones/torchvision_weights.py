"""Torchvision's networks with torchvision's weights, which it keeps in torch's hub folder."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from flowstream.errors import CheckpointError


def weight_names(name: str) -> tuple[str, ...]:
    """What torchvision calls the weights that it has for one of its networks."""
    return tuple(models.get_model_weights(name).__members__)


def torchvision_network(
    name: str, pretrained: bool | str, *, kind: str, instead: str = "", **settings: Any
) -> nn.Module:
    """One of torchvision's networks, random or with weights.

    Parameters
    ----------
    name : str
        Torchvision's.
    pretrained : bool or str
        Weights: none, the best known, or those of one of `weight_names`.
    kind : str
        What messages call the network: model, backbone.
    instead : str
        What else may be done where weights cannot be downloaded, ended by a comma.
    **settings
        Torchvision's, for the network.

    Raises
    ------
    CheckpointError
        If they cannot be downloaded.
    """
    known = models.get_model_weights(name)
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
