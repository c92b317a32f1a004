"""The first convolution, made anew for flow or for several frames."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.layers.stem import (
    repeat_weights,
    replace_stem,
    spread_weights,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(5, 2, 1))


def stem(net: nn.Sequential) -> nn.Conv2d:
    first = net[0]
    assert isinstance(first, nn.Conv2d)
    return first


def test_cross_modality_weights_are_the_rgb_mean_in_every_channel() -> None:
    weight = torch.arange(12.0).reshape(2, 3, 1, 2)
    spread = spread_weights(weight, channels=2, frames=10)
    assert spread.shape == (2, 20, 1, 2)
    for channel in range(20):
        torch.testing.assert_close(spread[:, channel], weight.mean(dim=1))


def test_grey_rgb_and_the_same_image_in_three_flow_channels_get_one_answer() -> None:
    net = network()
    grey = torch.randn(2, 1, 8, 9).repeat(1, 3, 1, 1)
    before = stem(net)(grey)
    replace_stem(net, channels=1, frames=3, pretrained=True)
    # float32 sums of 27 terms
    torch.testing.assert_close(stem(net)(grey), before, atol=1e-6, rtol=1e-5)


def test_a_clip_of_one_repeated_rgb_image_gets_the_answer_of_the_image() -> None:
    net = network()
    image = torch.randn(2, 3, 8, 9)
    before = net(image)
    replace_stem(net, channels=3, frames=4, pretrained=True)
    torch.testing.assert_close(net(image.repeat(1, 4, 1, 1)), before, atol=1e-6, rtol=1e-5)


def test_repeated_weights_keep_the_order_of_channels_in_each_frame() -> None:
    weight = torch.randn(2, 3, 3, 3)
    spread = repeat_weights(weight, 6)
    assert torch.equal(spread[:, :3], weight / 2)
    assert torch.equal(spread[:, 3:], weight / 2)


def test_one_rgb_frame_leaves_the_stem_alone() -> None:
    net = network()
    before = stem(net)
    replace_stem(net, channels=3, frames=1, pretrained=False)
    assert stem(net) is before


def test_stride_padding_and_bias_are_kept() -> None:
    net = network()
    before = stem(net)
    replace_stem(net, channels=2, frames=10, pretrained=True)
    after = stem(net)
    assert (after.stride, after.padding) == (before.stride, before.padding)
    assert before.bias is not None
    assert after.bias is not None
    assert torch.equal(after.bias, before.bias)
    assert after.in_channels == 20


def test_without_pretrained_weights_the_channels_start_different() -> None:
    net = network()
    replace_stem(net, channels=2, frames=2, pretrained=False)
    weight = stem(net).weight
    assert not torch.equal(weight[:, 0], weight[:, 1])


def test_a_network_that_does_not_start_with_rgb_is_refused() -> None:
    with pytest.raises(ParameterError, match="first convolution does not take RGB"):
        replace_stem(nn.Sequential(nn.Conv2d(4, 5, 3)), channels=2, frames=1, pretrained=True)
