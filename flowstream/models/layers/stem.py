"""The first convolution of a 2D network, made anew for other channels than RGB."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import replace_submodule


def replace_stem(network: nn.Module, *, channels: int, frames: int, pretrained: bool) -> None:
    """Make the first convolution of an RGB network take T·C channels, frame after frame.

    Pretrained RGB weights are kept where the input is RGB, and spread by `cross_modality_weights`
    or `repeated_weights` where it is not; without pretrained weights the layer starts at random.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place. Its first `Conv2d`, in the order of its modules, has 3 input channels.
    channels, frames : int
        C and T.
    pretrained : bool
        Whether its weights are worth keeping.

    Raises
    ------
    ParameterError
        If the network does not start with a convolution of RGB.
    """
    name, conv = _first_conv(network)
    if channels * frames == 3 and channels == 3:
        return
    stem = copy.deepcopy(conv)
    stem.in_channels = channels * frames
    shape = (conv.out_channels, stem.in_channels, *conv.kernel_size)
    stem.weight = nn.Parameter(conv.weight.new_empty(shape))
    if not pretrained:
        stem.reset_parameters()
    else:
        spread = repeated_weights if channels == 3 else cross_modality_weights
        with torch.no_grad():
            stem.weight.copy_(spread(conv.weight, channels * frames))
    replace_submodule(network, name, stem)


def cross_modality_weights(weight: Tensor, channels: int) -> Tensor:
    """First-layer weights for flow from those for RGB: their mean over channels, replicated.

    Cross-modality initialisation, Wang et al. 2016 (arXiv:1608.00859), section 3.2. As in the paper
    the mean is not rescaled, so that channels which all show one image answer `channels` / 3 times
    as strongly as RGB does. That is wanted: flow in units of its bound is several times smaller
    than normalised RGB, and the first norm, which partial BN leaves free, takes up the rest.

    Parameters
    ----------
    weight : (D, 3, h, w)
    channels : int
        2L for L fields.

    Returns
    -------
    (D, channels, h, w)
    """
    return weight.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1)


def repeated_weights(weight: Tensor, channels: int) -> Tensor:
    """First-layer weights for several RGB frames: repeated over frames and divided by their number.

    A clip of one repeated image then gives the image's answer (inflation, Carreira & Zisserman
    2017, arXiv:1705.07750, section 2.4).

    Parameters
    ----------
    weight : (D, 3, h, w)
    channels : int
        3T.

    Returns
    -------
    (D, channels, h, w)
    """
    frames = channels // weight.shape[1]
    return weight.repeat(1, frames, 1, 1) / frames


def _first_conv(network: nn.Module) -> tuple[str, nn.Conv2d]:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != 3 or module.groups != 1:
                break
            return name, module
    kind = type(network).__name__
    raise ParameterError(f"{kind}: expected a network whose first convolution takes RGB")
