"""The last layer, made anew for other classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from flowstream.errors import ParameterError
from flowstream.models.layers.head import replace_head


def test_the_last_linear_layer_becomes_dropout_and_a_layer_of_the_classes() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1000), nn.ReLU6())
    head = replace_head(net, classes=3, dropout=0.4)
    assert net[2] is head
    dropout, linear = head.children()
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.4
    assert isinstance(linear, nn.Linear)
    assert (linear.in_features, linear.out_features) == (8, 3)
    assert isinstance(net[0], nn.Linear)
    assert net[0].out_features == 8


def test_dropout_right_before_the_last_layer_gives_way_to_ours() -> None:
    net = nn.Sequential(nn.Dropout(0.9), nn.Linear(6, 8), nn.Dropout(0.2), nn.Linear(8, 1000))
    replace_head(net, classes=3, dropout=0.4)
    rates = [part.p for part in net.modules() if isinstance(part, nn.Dropout)]
    assert rates == [0.9, 0.4]


def test_the_head_is_silent_in_evaluation() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 1000))
    replace_head(net, classes=3, dropout=0.9)
    net.eval()
    features = torch.randn(4, 6)
    assert torch.equal(net(features), net(features))


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_rate_outside_0_to_1_is_refused(dropout: float) -> None:
    with pytest.raises(ParameterError, match="dropout: expected at least 0 and below 1"):
        replace_head(nn.Sequential(nn.Linear(2, 2)), classes=3, dropout=dropout)


def test_a_network_without_a_linear_layer_is_refused() -> None:
    with pytest.raises(ParameterError, match="linear layer"):
        replace_head(nn.Sequential(nn.Conv2d(3, 4, 1)), classes=3, dropout=0.1)
