"""`swin3d_t`: torchvision's transformer of shifted windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d

from flowstream.models.model import Classifier
from flowstream.models.torchvision_video import TorchvisionVideo, start_linear_layers


class Swin3DT(TorchvisionVideo):
    """A transformer that attends within windows of space and time, shifted between layers."""

    name: ClassVar[str] = "swin3d_t"
    paper: ClassVar[str] = "Liu et al. 2022, arXiv:2106.13230, section 3"

    def _start(self, network: nn.Module) -> None:
        """See `start_linear_layers`."""
        start_linear_layers(network)

    def spoilt_apart(self, network: Classifier) -> Classifier:
        """Attention spoils its windows: 0 times NaN would pass its masks."""
        for part in network.modules():
            if isinstance(part, ShiftedWindowAttention3d):
                part.forward = partial(
                    spoil_windows, window=part.window_size, shift=part.shift_size
                )
        return network


def spoil_windows(tokens: Tensor, *, window: Sequence[int], shift: Sequence[int]) -> Tensor:
    """NaN for each token that attends to a token which is NaN, 0 for all others.

    Liu et al. 2022, section 3.2: windows shifted by s start at s, s + window, ..., and what lies
    before the first and behind the last of them attends by itself. An axis that one window covers
    is not shifted.

    Parameters
    ----------
    tokens : (N, T, H, W, D)
    window, shift : (frames, rows, columns)
    """
    spoilt = tokens.isnan().any(dim=-1)
    for axis, (side, start) in enumerate(zip(window, shift, strict=True), start=1):
        places = torch.arange(tokens.shape[axis])
        offset = start if len(places) > side else 0
        windows = torch.div(places - offset, side, rounding_mode="floor")
        together = (windows[:, None] == windows).to(tokens.dtype)
        counts = spoilt.movedim(axis, -1).to(tokens.dtype) @ together
        spoilt = (counts > 0).movedim(-1, axis)
    return torch.zeros_like(tokens).masked_fill(spoilt.unsqueeze(-1), torch.nan)
