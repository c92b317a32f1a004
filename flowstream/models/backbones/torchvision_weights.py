"""Networks and weights of torchvision, which keeps weights in torch's hub directory."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from flowstream.errors import CheckpointError


def list_weights(name: str) -> tuple[str, ...]:
    """Return the names of the weights that torchvision has for one of its networks."""
    return tuple(models.get_model_weights(name).__members__)


def build_torchvision_network(
    name: str, pretrained: bool | str, *, kind: str, instead: str = "", **settings: Any
) -> nn.Module:
    """Build one of torchvision's networks, with random or pretrained weights.

    Parameters
    ----------
    name : str
        Torchvision's name of the network.
    pretrained : bool or str
        False for random weights, True for the best available, or one of `list_weights`.
    kind : str
        Kind of network for messages: model or backbone.
    instead : str
        Another way out, for the message about a failed download; ends with a comma.
    **settings
        Keyword arguments of the network.

    Raises
    ------
    CheckpointError
        If the weights cannot be downloaded.
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
            f"{kind} {name!r}: its pretrained weights cannot be downloaded: {error}. "
            f"Connect once,{instead} or set pretrained = false"
        ) from error
    return network
