"""Replacement of the first convolution of a 2D network, for inputs other than RGB."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import replace_submodule


def replace_stem(network: nn.Module, *, channels: int, frames: int, pretrained: bool) -> None:
    """Replace the first convolution of an RGB network to accept T·C channels.

    Pretrained weights are kept for one RGB frame, repeated for several (`repeat_weights`), and
    averaged for other inputs (`make_cross_modality_weights`). Without pretrained weights the new
    layer is random.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place. Its first `Conv2d`, in the order of its modules, has 3 input channels.
    channels, frames : int
        C and T; the channels of one frame are adjacent.
    pretrained : bool
        Use the weights of the layer.

    Raises
    ------
    ParameterError
        If the first convolution of the network does not have 3 input channels.
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
        spread = repeat_weights if channels == 3 else make_cross_modality_weights
        with torch.no_grad():
            stem.weight.copy_(spread(conv.weight, channels * frames))
    replace_submodule(network, name, stem)


def make_cross_modality_weights(weight: Tensor, channels: int) -> Tensor:
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


def repeat_weights(weight: Tensor, channels: int) -> Tensor:
    """Repeat first-layer weights over several RGB frames, divided by their number.

    The response to a clip of one repeated image is then the response to that image (inflation,
    Carreira & Zisserman 2017, arXiv:1705.07750, section 2.4).

    Parameters
    ----------
    weight : (D, 3, h, w)
    channels : int
        Number of channels, 3T.

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
    raise ParameterError(
        f"{kind}: the first convolution does not take RGB; expected 3 input channels"
    )
