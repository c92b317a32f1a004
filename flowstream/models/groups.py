"""Parameter groups with layer-wise learning rates, for any optimiser of torch."""

from __future__ import annotations

from typing import Any

from torch import nn

from flowstream.models.layers.stages import find_stages
from flowstream.models.model import Classifier
from flowstream.ranges import check_between


def group_parameters(network: Classifier, *, decay: float) -> list[dict[str, Any]]:
    """Divide the trained parameters by depth, each group with a factor of the learning rate.

    The head has the factor 1, the last stage of each image network `decay`, the stage before
    `decay` squared, and so on (layer-wise rate decay; Clark et al. 2020, arXiv:2003.10555, section
    3.3). Parameters outside image networks, such as a recurrent layer, belong to the head.

    Parameters
    ----------
    network : Classifier
    decay : float
        Factor per stage, above 0 and at most 1; a common value is 0.5 to 0.8.

    Returns
    -------
    list of dict
        Groups for an optimiser: `params`, and `rate_factor`, by which the caller multiplies the
        learning rate.
    """
    check_between("decay", decay, (1e-6, 1.0))
    depths: dict[nn.Parameter, int] = {}
    head = set(network.head.parameters())
    for part in _find_trunks(network):
        conv = next(one for one in part.modules() if isinstance(one, nn.Conv2d))
        stages = find_stages(part, channels=conv.in_channels)
        for index, stage in enumerate(stages):
            for module in stage:
                for parameter in module.parameters(recurse=False):
                    depths[parameter] = len(stages) - index
    groups: dict[int, list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            depth = 0 if parameter in head else depths.get(parameter, 0)
            groups.setdefault(depth, []).append(parameter)
    return [{"params": groups[depth], "rate_factor": decay**depth} for depth in sorted(groups)]


def _find_trunks(network: nn.Module) -> list[nn.Module]:
    """Return the outermost parts that run on images: those with 2D and without 3D convolutions."""
    found: list[nn.Module] = []
    for child in network.children():
        kinds = {type(part) for part in child.modules()}
        has_images = any(issubclass(kind, nn.Conv2d) for kind in kinds)
        if has_images and not any(issubclass(kind, nn.Conv3d) for kind in kinds):
            found.append(child)
        elif has_images:
            found += _find_trunks(child)
    return found
