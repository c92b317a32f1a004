"""RGB and flow in one module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flowstream.errors import ParameterError, ShapeError
from flowstream.models import build_model
from flowstream.models.two_stream import TwoStream, TwoStreamNet
from flowstream.models.two_stream_conv_fusion import (
    Bilinear,
    Concatenation,
    ConvFusionNet,
    Convolution,
    Join,
    Maximum,
)

SMALL: dict[str, Any] = {"backbone": "small_cnn", "pretrained": False}


def build(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    network = build_model(
        name, channels=None, frames=4, size=(16, 20), classes=3, **{**SMALL, **options}
    )
    return network.eval()


def inputs(count: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    rgb = torch.randn(count, 3, 1, 16, 20, generator=generator)
    return rgb, torch.randn(count, 2, 4, 16, 20, generator=generator)


@pytest.mark.parametrize("weight", [0.5, 0.6, 0.1])
def test_probabilities_are_the_weighted_mean_of_the_two_networks(weight: float) -> None:
    network = build("two_stream", temporal_weight=weight)
    assert isinstance(network, TwoStreamNet)
    rgb, flow = inputs()
    with torch.inference_mode():
        probabilities = network(rgb, flow).softmax(dim=1)
        spatial = network.spatial(rgb[:, :, 0]).softmax(dim=1)
        stack = torch.cat([flow[:, :, field] for field in range(4)], dim=1)  # dx0 dy0 dx1 dy1 ...
        temporal = network.temporal(stack).softmax(dim=1)
    expected = (1 - weight) * spatial + weight * temporal
    # 1e-6: logarithms and back in float32
    torch.testing.assert_close(probabilities, expected, atol=1e-6, rtol=1e-5)


def test_the_two_networks_equal_those_of_the_single_streams() -> None:
    network = build("two_stream")
    spatial: Any = build_model(
        "single_frame", channels=3, frames=1, size=(16, 20), classes=3, **SMALL
    ).eval()
    temporal: Any = build_model(
        "early_fusion", channels=2, frames=4, size=(16, 20), classes=3, **SMALL
    ).eval()
    spatial.network.load_state_dict(network.spatial.state_dict())
    temporal.network.load_state_dict(network.temporal.state_dict())
    rgb, flow = inputs()
    with torch.inference_mode():
        mean = (spatial(rgb).softmax(dim=1) + temporal(flow).softmax(dim=1)) / 2
        torch.testing.assert_close(network(rgb, flow).softmax(dim=1), mean, atol=1e-6, rtol=1e-5)


def test_the_head_contains_both_last_layers() -> None:
    layers = [part for part in build("two_stream").head.modules() if isinstance(part, nn.Linear)]
    assert [layer.out_features for layer in layers] == [3, 3]


def test_conv_fusion_starts_as_the_sum_of_the_maps() -> None:
    network = build("two_stream_conv_fusion")
    assert isinstance(network, ConvFusionNet)
    rgb, flow = inputs()
    with torch.inference_mode():
        of_rgb = network.spatial(rgb[:, :, 0])
        of_flow = network.temporal(flow.transpose(1, 2).flatten(1, 2))
        assert isinstance(network.fuse, Convolution)
        fused = network.fuse.join(of_rgb, of_flow)
        # 1e-6: a sum of 128 products, all but two of them zero
        torch.testing.assert_close(fused, of_rgb + of_flow, atol=1e-6, rtol=1e-6)
        expected = network.last((of_rgb + of_flow).mean(dim=(2, 3)))
        torch.testing.assert_close(network(rgb, flow), expected, atol=1e-5, rtol=1e-5)


def test_maps_are_joined_as_the_option_says() -> None:
    one, two = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    assert torch.equal(Join(3)(one, two), (one + two).mean(dim=(2, 3)))
    assert torch.equal(Maximum(3)(one, two), torch.maximum(one, two).mean(dim=(2, 3)))
    both = torch.cat([one, two], dim=1).mean(dim=(2, 3))
    assert torch.equal(Concatenation(3)(one, two), both)
    bilinear = Bilinear(3, 2)
    outer = torch.einsum("nchw,ndhw->ncd", bilinear.of_rgb(one), bilinear.of_flow(two)) / 20
    rooted = outer.flatten(1).sign() * outer.flatten(1).abs().sqrt()
    expected = rooted / rooted.norm(dim=1, keepdim=True)
    # 0.01: what is added under the root
    torch.testing.assert_close(bilinear(one, two), expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("fusion", ["sum", "max", "concatenation", "bilinear"])
def test_every_fusion_of_maps_gives_scores_and_gradients(fusion: str) -> None:
    network = build("two_stream_conv_fusion", fusion=fusion, bilinear_width=3)
    torch.autograd.backward(network(*inputs()).square().sum())
    assert all(value.grad is not None for value in network.parameters())


@pytest.mark.parametrize("name", ["two_stream", "two_stream_conv_fusion"])
def test_inputs_that_do_not_match_are_refused(name: str) -> None:
    network = build(name)
    rgb, flow = inputs()
    with pytest.raises(ShapeError, match="flow: got 4 clips, expected 5"):
        network(rgb, flow[:4])
    with pytest.raises(ShapeError, match="rgb: got 2 channels, expected 3"):
        network(flow, rgb)
    with pytest.raises(ShapeError, match="flow: got 5 frames, expected 4"):
        network(rgb, torch.zeros(5, 2, 5, 16, 20))


@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0])
def test_a_weight_that_ignores_one_stream_is_refused(weight: float) -> None:
    with pytest.raises(ParameterError, match="temporal_weight: got"):
        TwoStream(temporal_weight=weight)


def test_both_networks_have_pretrained_weights() -> None:
    network: Any = build_model("two_stream", channels=None, frames=3, size=32, classes=2)
    stems = [
        next(part for part in net.modules() if isinstance(part, nn.Conv2d)).weight
        for net in (network.spatial, network.temporal)
    ]
    assert stems[1].shape[1] == 6
    expected = stems[0].mean(dim=1, keepdim=True).expand_as(stems[1])
    torch.testing.assert_close(stems[1], expected, atol=0, rtol=0)
