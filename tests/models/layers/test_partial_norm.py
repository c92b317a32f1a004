"""Partial batch normalisation."""

from __future__ import annotations

import torch
from torch import nn

from flowstream.models.layers.partial_norm import FrozenNorm, freeze_norms


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3),
        nn.BatchNorm2d(5),
        nn.Sequential(nn.Conv2d(5, 2, 1), nn.BatchNorm2d(2)),
    )
    for norm in (part for part in net.modules() if isinstance(part, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight)
        nn.init.normal_(norm.bias)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return net


def test_all_norms_but_the_first_are_frozen() -> None:
    net = network()
    assert freeze_norms(net) == 2
    kinds = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d | FrozenNorm)]
    assert [type(part) for part in kinds] == [nn.BatchNorm2d, FrozenNorm, FrozenNorm]


def test_freezing_leaves_the_scores_of_evaluation() -> None:
    net, images = network().eval(), torch.randn(2, 3, 9, 9)
    before = net(images)
    freeze_norms(net)
    assert torch.equal(net(images), before)


def test_training_moves_the_statistics_of_the_first_norm_only() -> None:
    net = network()
    freeze_norms(net)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()(torch.randn(4, 3, 9, 9))
    moved = {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_a_frozen_norm_has_nothing_to_train() -> None:
    net = network()
    freeze_norms(net)
    frozen = net[4]
    assert isinstance(frozen, FrozenNorm)
    assert not list(frozen.parameters())
    assert {"4.weight", "4.bias", "4.running_mean", "4.running_var"} <= net.state_dict().keys()
