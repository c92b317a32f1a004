"""Propagation of NaN through windows of attention."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d

from flowstream.models.inspect.describe import describe
from flowstream.models.model import ClipShape
from flowstream.models.swin3d import Swin3DT, spread_nan_over_windows


@pytest.mark.parametrize("shift", [(0, 0, 0), (1, 2, 1), (0, 2, 2)])
@pytest.mark.parametrize("size", [(2, 6, 6), (4, 7, 5), (3, 4, 9), (2, 3, 8), (5, 2, 3)])
def test_a_token_becomes_nan_by_those_that_it_attends_to(
    size: tuple[int, int, int], shift: tuple[int, int, int]
) -> None:
    """Compare with the derivatives of torchvision's attention."""
    window = (2, 4, 3)
    torch.manual_seed(0)
    attention = ShiftedWindowAttention3d(4, [*window], [*shift], num_heads=2).double()
    count = size[0] * size[1] * size[2]
    some = torch.randn(1, *size, 4, dtype=torch.float64)

    def sums(tokens: Tensor) -> Tensor:
        result: Tensor = attention(tokens)
        return result.sum(dim=-1).flatten()

    slopes = torch.func.jacrev(sums)(some).reshape(count, count, 4)
    depends = slopes.abs().amax(dim=-1) > 1e-30  # e^-100 is 4e-44, all that is seen above 1e-6
    clips = torch.zeros(count, count, 4)
    clips[range(count), range(count)] = torch.nan  # one clip a spoilt token
    spoil = partial(spread_nan_over_windows, window=window, shift=shift)
    spoilt = spoil(clips.reshape(count, *size, 4)).isnan().all(dim=-1).reshape(count, count)
    assert torch.equal(spoilt, depends.T)


def test_the_first_shifted_window_sees_two_adjacent_windows() -> None:
    clip = ClipShape(3, 4, 224, 112)
    rows = {row.name: row.receptive_field for row in describe(Swin3DT(), clip, 5).layers}
    # 7 tokens of 4 pixels; then, shifted by 3, 7 tokens of two such windows
    assert rows["network.features.0.0.norm2"] == (4, 28, 28)
    assert rows["network.features.0.1.norm2"] == (4, 56, 56)
