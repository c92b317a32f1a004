"""`swin3d_t`: torchvision's video transformer with shifted windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d

from flowstream.models.model import Classifier
from flowstream.models.torchvision_video import TorchvisionVideo, initialise_linear_layers


class Swin3DT(TorchvisionVideo):
    """Transformer that attends within windows, which are shifted between layers."""

    name: ClassVar[str] = "swin3d_t"
    paper: ClassVar[str] = "Liu et al. 2022, arXiv:2106.13230, section 3"

    def _initialise(self, network: nn.Module) -> None:
        """Initialise the linear layers by Glorot's rule (`initialise_linear_layers`)."""
        initialise_linear_layers(network)

    def prepare_for_receptive_field(self, network: Classifier) -> Classifier:
        """Replace attention, because NaN times 0 would pass its masks."""
        for part in network.modules():
            if isinstance(part, ShiftedWindowAttention3d):
                part.forward = partial(
                    spread_nan_over_windows, window=part.window_size, shift=part.shift_size
                )
        return network


def spread_nan_over_windows(
    tokens: Tensor, *, window: Sequence[int], shift: Sequence[int]
) -> Tensor:
    """Return NaN for each token that attends to a NaN token, and 0 for all others.

    Liu et al. 2022, section 3.2: windows shifted by s start at s, s + window, ...; the tokens
    before the first and after the last of them form windows of their own. An axis that one window
    covers is not shifted.

    Parameters
    ----------
    tokens : (N, T, H, W, D)
    window, shift : (frames, rows, columns)
    """
    affected = tokens.isnan().any(dim=-1)
    for axis, (side, start) in enumerate(zip(window, shift, strict=True), start=1):
        places = torch.arange(tokens.shape[axis])
        offset = start if len(places) > side else 0
        windows = torch.div(places - offset, side, rounding_mode="floor")
        together = (windows[:, None] == windows).to(tokens.dtype)
        counts = affected.movedim(axis, -1).to(tokens.dtype) @ together
        affected = (counts > 0).movedim(-1, axis)
    return torch.zeros_like(tokens).masked_fill(affected.unsqueeze(-1), torch.nan)
