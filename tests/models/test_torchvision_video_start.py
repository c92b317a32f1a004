"""Networks that are made for very long training serve a short one, too."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

from flowstream.models import build_model


class Reached(Exception):
    """The forward pass came to the end of the part that is tested."""


def stop(*_: object) -> None:
    raise Reached


@pytest.mark.parametrize("name", ["r3d_18", "s3d"])
def test_statistics_from_random_weights_are_known_after_a_short_training(name: str) -> None:
    network = build_model(name, channels=3, frames=8, size=17, classes=2).train()
    clips = 5 + torch.rand(2, 3, 8, 17, 17, generator=torch.Generator().manual_seed(1))
    first = next(part for part in network.modules() if isinstance(part, nn.BatchNorm3d))
    seen: list[torch.Tensor] = []
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    first.register_forward_hook(stop)
    for _ in range(30):
        with torch.no_grad(), contextlib.suppress(Reached):
            network(clips)
    truth = seen[0].mean(dim=(0, 2, 3, 4))
    # 0.9 to the 30th of the start is left: 4 %
    torch.testing.assert_close(first.running_mean, truth, rtol=0.05, atol=1e-4)


@pytest.mark.parametrize("name", ["swin3d_t", "mvit_v2_s"])
def test_random_transformers_keep_the_size_of_what_passes_their_layers(name: str) -> None:
    network = build_model(name, channels=3, frames=4, size=32, classes=2)
    layers = [part for part in network.modules() if isinstance(part, nn.Linear)]
    assert len(layers) > 40
    for layer in layers:
        if layer.weight.numel() > 10_000:  # enough that 5 % is a deviation of more than three sigma
            expected = (2 / (layer.in_features + layer.out_features)) ** 0.5
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.05)
