"""Strides in time of inflated networks, as in I3D."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from flowstream.errors import ParameterError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.i3d import I3D
from flowstream.models.layers.inflate import InflatedConv, inflate
from flowstream.models.layers.temporal_strides import TemporalPool, find_halvings


def test_the_parts_of_a_resnet_that_halve_the_image() -> None:
    network = BACKBONES["resnet18"]("resnet18").build(False)
    names = {part: name for name, part in network.named_modules()}
    found = [names[part] for part in find_halvings(network)]
    assert found == ["conv1", "maxpool", "layer2", "layer3", "layer4"]


@pytest.mark.parametrize("frames", [1, 3, 16])
def test_time_is_halved_at_the_first_fourth_and_fifth_halving(frames: int) -> None:
    options = {"backbone": "bn_inception", "pretrained": False}
    network = build_model("i3d", channels=3, frames=frames, size=32, classes=3, **options).eval()
    counts = [1]

    def record(part: nn.Module, _: object, output: torch.Tensor) -> None:
        counts.append(len(output))

    for part in network.modules():
        if isinstance(part, InflatedConv):
            part.register_forward_hook(record)
    with torch.no_grad():
        scores = network(torch.randn(1, 3, frames, 32, 32))
    assert scores.shape == (1, 3)
    assert counts[1] == -(-frames // 2)
    assert counts[-1] == -(-frames // 8)


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_a_still_clip_has_the_scores_of_its_image(backbone: str) -> None:
    torch.manual_seed(0)
    network = BACKBONES[backbone](backbone).build(False).double()
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    network.train()(images)  # statistics of the norms
    network.eval()
    expected = network(images)
    inflated = inflate(copy.deepcopy(network), 3, strides=(2, 1, 1, 2, 2))
    assert sum(isinstance(part, TemporalPool) for part in inflated.modules()) == 2
    found = inflated(images.unsqueeze(2).repeat(1, 1, 4, 1, 1))
    # 1e-9: thirds of weights in float64
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_invalid_strides_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"strides: expected .*\(0,\)"):
        I3D(strides=(0,))
