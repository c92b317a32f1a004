"""The notes' example: a scene turns from orange to blue at some moment, or from blue to orange.

What a 3D CNN has learnt at some moments it knows at all others, because its filters slide over
time; early fusion has a filter for each frame and knows nothing about frames that it was not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flowstream.models import build_model

FRAMES, SIDE = 16, 8
ORANGE, BLUE = (1.0, 0.1, -1.0), (-1.0, -0.5, 1.0)
SEEN, UNSEEN = range(1, 8), range(8, 15)


def clips(moments: Sequence[int], *, each: int, seed: int) -> tuple[Tensor, Tensor]:
    """Grey clips with noise that flash in two colours at a moment, and which comes first.

    The colours are the same in both classes, and all frames but two are grey: only the order tells.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = [(moment, order) for moment in moments for order in (0, 1) for _ in range(each)]
    values = torch.randn(len(pairs), 3, FRAMES, SIDE, SIDE, generator=generator) * 0.2
    colours = torch.tensor([ORANGE, BLUE])[:, :, None, None]
    for clip, (moment, order) in zip(values, pairs, strict=True):
        clip[:, moment - 1] += colours[order]
        clip[:, moment] += colours[1 - order]
    return values, torch.tensor([order for _, order in pairs])


def trained(name: str, **options: Any) -> nn.Module:
    """The model after some steps on flashes at the seen moments."""
    torch.manual_seed(0)
    network = build_model(
        name, channels=3, frames=FRAMES, size=SIDE, classes=2, dropout=0.0, **options
    )
    values, labels = clips(SEEN, each=8, seed=1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    for step in range(60):
        part = torch.randperm(len(labels), generator=torch.Generator().manual_seed(step))[:32]
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(values[part]), labels[part])
        torch.autograd.backward(loss)
        optimiser.step()
    return network.eval()


def right(network: nn.Module, moments: Sequence[int]) -> float:
    """The share of new clips of which it tells the order."""
    values, labels = clips(moments, each=8, seed=2)
    with torch.inference_mode():
        return float((network(values).argmax(dim=1) == labels).float().mean())


@pytest.fixture(scope="module")
def slow_fusion() -> nn.Module:
    return trained("slow_fusion", widths=(8, 16), pool=2)


@pytest.fixture(scope="module")
def early_fusion() -> nn.Module:
    return trained("early_fusion", backbone="small_cnn", pretrained=False)


def test_both_networks_learn_the_moments_of_training(
    slow_fusion: nn.Module, early_fusion: nn.Module
) -> None:
    # 112 new clips each: 0.95 is five errors; a guess has 0.5 ± 0.05
    assert right(slow_fusion, SEEN) > 0.95
    assert right(early_fusion, SEEN) > 0.95


def test_the_3d_cnn_generalises_to_other_moments(slow_fusion: nn.Module) -> None:
    assert right(slow_fusion, UNSEEN) > 0.95


def test_a_flash_that_comes_later_by_the_pools_stride_is_the_same_to_the_3d_cnn(
    slow_fusion: nn.Module, early_fusion: nn.Module
) -> None:
    flash = torch.zeros(1, 3, FRAMES, SIDE, SIDE)
    colours = torch.tensor([ORANGE, BLUE])[:, :, None, None]
    flash[0, :, 6], flash[0, :, 7] = colours[0], colours[1]
    later = flash.roll(2, dims=2)
    with torch.inference_mode():
        # 1e-5: an average over maps that have moved; the flash is away from the clip's ends
        torch.testing.assert_close(slow_fusion(later), slow_fusion(flash), atol=1e-5, rtol=1e-5)
        assert (early_fusion(later) - early_fusion(flash)).abs().max() > 0.1


def test_early_fusion_can_only_guess_at_other_moments(early_fusion: nn.Module) -> None:
    # Its filters for those frames were drawn at random: each moment is guessed by itself, 7 of
    # them with two orders, so that 0.5 is met with a deviation of 0.13.
    assert right(early_fusion, UNSEEN) < 0.8
