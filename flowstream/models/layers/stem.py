"""Replacement of the first convolution of a 2D network, for inputs other than RGB."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models.layers.submodule import replace_submodule

FLOW_DEVIATION = 0.07
"""Standard deviation of flow in units of a bound of 20 px, 1.4 px per frame step.

Root mean square over 11 UCF101 clips, DIS at 128 rows; single clips range from 0.001 to 0.12.
"""


def replace_stem(
    network: nn.Module,
    *,
    channels: int,
    frames: int,
    pretrained: bool,
    has_derived_scale: bool = False,
) -> None:
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
    has_derived_scale : bool
        Scale averaged weights so that the deviation of the response is that of RGB; see
        `make_cross_modality_weights`.

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
        with torch.no_grad():
            spread = spread_weights(
                conv.weight, channels=channels, frames=frames, has_derived_scale=has_derived_scale
            )
            stem.weight.copy_(spread)
    replace_submodule(network, name, stem)


def spread_weights(
    weight: Tensor, *, channels: int, frames: int, has_derived_scale: bool = False
) -> Tensor:
    """Adapt RGB weights to the channels of several frames; 2 channels are flow.

    Without the derived scale the mean is replicated unscaled, as in the paper.
    """
    if channels == 3:
        return repeat_weights(weight, 3 * frames)
    total = channels * frames
    if not has_derived_scale:
        return weight.mean(dim=1, keepdim=True).repeat(1, total, 1, 1)
    if channels == 2:
        return make_cross_modality_weights(weight, total, groups=2, deviation=FLOW_DEVIATION)
    return make_cross_modality_weights(weight, total)


def make_cross_modality_weights(
    weight: Tensor, channels: int, *, groups: int = 1, deviation: float = 1.0
) -> Tensor:
    """Compute first-layer weights for other inputs: the RGB mean, replicated and scaled.

    Cross-modality initialisation, Wang et al. 2016 (arXiv:1608.00859), section 3.2, with a scale
    that the paper does not have. It keeps the standard deviation of the response: three equal RGB
    channels of deviation 1 sum up to a deviation of 3; `channels` channels in `groups` independent
    groups of equal channels, each of `deviation`, sum up to channels * deviation / sqrt(groups).
    Without it, 20 flow channels change the response of a network without norms by a factor that
    depends on the length of the stack.

    Parameters
    ----------
    weight : (D, 3, h, w)
    channels : int
        Number of input channels; 2L for L flow fields.
    groups : int
        Number of independent components: 2 for flow (dx and dy), 1 for grey images.
    deviation : float
        Standard deviation of a channel, where that of normalised RGB is 1.

    Returns
    -------
    (D, channels, h, w)
    """
    scale = weight.shape[1] * groups**0.5 / (channels * deviation)
    spread: Tensor = scale * weight.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1)
    return spread


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
