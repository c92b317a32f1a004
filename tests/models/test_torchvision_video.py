"""Torchvision's video networks through the same door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from flowstream.errors import CheckpointError, RecipeError
from flowstream.models import MODELS, build_model
from flowstream.models.inspect.describe import build_on_meta
from flowstream.models.layers.stem import spread_weights
from flowstream.models.model import ClipShape
from flowstream.models.torchvision_video import (
    R3D18,
    S3D,
    MViTV2S,
    TorchvisionVideo,
)
from flowstream.models.whole_classifier import WholeClassifier

NAMES = ["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t"]

every_network = pytest.mark.parametrize("name", NAMES)


def test_the_six_video_networks_are_listed() -> None:
    assert [n for n in MODELS if issubclass(MODELS[n], TorchvisionVideo)] == NAMES


@every_network
def test_only_the_last_layer_differs_from_torchvision_for_rgb(name: str) -> None:
    """Same parameters in all other places; and for small clips, where that can be, same scores."""
    clip = ClipShape(3, 16, 112, 112)
    with torch.device("meta"):
        theirs = dict(models.get_model(name).named_parameters())
    ours = build_on_meta(MODELS[name](), clip, 5)
    assert isinstance(ours, WholeClassifier)
    last = {id(part) for part in ours.head.parameters()}
    rest = {n: p.shape for n, p in ours.network.named_parameters() if id(p) not in last}
    assert set(rest) < set(theirs)
    assert all(theirs[key].shape == shape for key, shape in rest.items())
    assert len(theirs) - len(rest) == 2  # weight and bias of the last layer


@pytest.mark.parametrize("name", ["mc3_18", "swin3d_t", "mvit_v2_s"])
def test_rgb_scores_equal_those_of_the_torchvision_network(name: str) -> None:
    torch.manual_seed(0)
    theirs: Any = models.get_model(name).eval()
    ours: Any = build_model(name, channels=3, frames=4, size=32, classes=400).eval()
    if name == "mvit_v2_s":  # which takes no other size by itself; ours is told by build
        theirs.pos_encoding = ours.network.pos_encoding
    with torch.no_grad():
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            own.copy_(other)
        clips = torch.randn(1, 3, 4, 32, 32)
        assert torch.equal(ours(clips), theirs(clips))


def first_convolution(network: nn.Module) -> nn.Conv3d:
    return next(part for part in network.modules() if isinstance(part, nn.Conv3d))


@every_network
def test_only_the_first_convolution_differs_for_flow(name: str) -> None:
    clip = ClipShape(2, 16, 112, 112)
    flow, rgb = (
        build_on_meta(MODELS[name](), clip, 5),
        build_on_meta(MODELS[name](), ClipShape(3, 16, 112, 112), 5),
    )
    ours, theirs = first_convolution(flow), first_convolution(rgb)
    assert (ours.in_channels, theirs.in_channels) == (2, 3)
    for setting in ("kernel_size", "stride", "padding", "out_channels"):
        assert getattr(ours, setting) == getattr(theirs, setting)
    differ = {
        key
        for key, value in flow.state_dict().items()
        if value.shape != rgb.state_dict()[key].shape
    }
    assert len(differ) == 1


def test_pretrained_filters_are_spread_over_flow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Torchvision's download is stood in for by a network of the same kind with known weights."""
    torch.manual_seed(3)
    trained = models.get_model("mc3_18")
    monkeypatch.setattr(
        "torchvision.models._api.WeightsEnum.get_state_dict", lambda *_, **__: trained.state_dict()
    )
    flow = build_model("mc3_18", channels=2, frames=2, size=16, classes=3, pretrained=True)
    rgb = build_model("mc3_18", channels=3, frames=2, size=16, classes=3, pretrained=True)
    own, theirs = first_convolution(flow).weight, first_convolution(trained).weight
    assert torch.equal(first_convolution(rgb).weight, theirs)
    for moment in range(3):
        spread = spread_weights(theirs[:, :, moment], channels=2, frames=1)
        torch.testing.assert_close(own[:, :, moment], spread, atol=1e-7, rtol=1e-6)
    third = dict(flow.named_parameters())["network.layer3.0.conv1.0.weight"]
    assert torch.equal(third, trained.layer3[0].conv1[0].weight)


@every_network
def test_the_head_is_one_dropout_and_one_layer_for_the_classes(name: str) -> None:
    kind = MODELS[name]
    assert issubclass(kind, TorchvisionVideo)
    network = build_on_meta(kind(dropout=0.3), ClipShape(3, 16, 32, 32), 7)
    dropout, last = network.head.children()
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.3
    assert isinstance(last, nn.Linear | nn.Conv3d)
    assert last.weight.shape[0] == 7
    # no other dropout right before it
    drops = [part for part in network.modules() if isinstance(part, nn.Dropout) and part.p > 0.1]
    assert drops == [dropout]


def test_mvit_gets_the_grid_of_its_clips() -> None:
    """Of 16 x 224 x 224 it is what torchvision makes for its weights."""
    with torch.device("meta"):
        theirs: Any = models.get_model("mvit_v2_s")
    ours: Any = build_on_meta(MViTV2S(), ClipShape(3, 16, 224, 224), 5)
    grid = ours.network.pos_encoding
    assert grid.temporal_size == theirs.pos_encoding.temporal_size == 8
    assert grid.spatial_size == theirs.pos_encoding.spatial_size == (56, 56)
    small: Any = build_on_meta(MViTV2S(), ClipShape(3, 5, 30, 33), 5)
    assert small.network.pos_encoding.temporal_size == 3
    assert small.network.pos_encoding.spatial_size == (8, 9)


def test_s3d_averages_all_maps_whatever_their_size() -> None:
    network: Any = build_on_meta(S3D(), ClipShape(3, 16, 112, 112), 5)
    assert isinstance(network.network.avgpool, nn.AdaptiveAvgPool3d)


def test_pixels_are_normalised_as_the_weights_expect() -> None:
    assert R3D18().pixels.mean == (0.43216, 0.394666, 0.37645)
    assert MViTV2S().pixels.deviation == (0.225, 0.225, 0.225)


def test_weights_that_do_not_exist_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"no weights 'KINETICS900'; known: KINETICS400_V1"):
        build_model("r3d_18", channels=3, frames=4, size=16, classes=2, pretrained="KINETICS900")


@pytest.mark.usefixtures("offline")
def test_weights_that_cannot_be_downloaded_give_one_clear_line() -> None:
    with pytest.raises(
        CheckpointError, match=r"'mc3_18'.*cannot be downloaded.*pretrained = false"
    ):
        build_model("mc3_18", channels=3, frames=4, size=16, classes=2, pretrained=True)
