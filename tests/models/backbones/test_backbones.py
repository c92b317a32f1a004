"""Networks by name, made into clip models by rule."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from flowstream.errors import CheckpointError, ParameterError, RecipeError, UnknownNameError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.layers.partial_norm import FrozenNorm
from flowstream.models.single_frame import SingleFrame
from tests.models.families import FAMILIES

# Without the slow ones whose stem and head are like those of another family.
QUICK = [name for name in FAMILIES if name not in ("inception_v3", "vgg11_bn")]


@pytest.mark.parametrize("backbone", QUICK)
def test_each_family_becomes_a_temporal_stream(backbone: str) -> None:
    side = max(32, BACKBONES[backbone](backbone).min_side)
    options: dict[str, Any] = {"backbone": backbone, "pretrained": False, "dropout": 0.3}
    model = build_model("early_fusion", channels=2, frames=5, size=side, classes=3, **options)
    scores = model.train()(torch.randn(2, 2, 5, side, side))
    assert scores.shape == (2, 3)
    torch.autograd.backward(scores.square().sum())
    assert all(parameter.grad is not None for parameter in model.parameters())
    dropout, _ = model.head.children()
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.3


def test_the_names_of_torchvision_are_known() -> None:
    assert {"resnet18", "resnet50", "resnet101", "vgg16", "vgg16_bn", "inception_v3"} <= set(
        BACKBONES
    )


def test_networks_whose_parts_no_rule_replaces_are_not_offered() -> None:
    assert not {"squeezenet1_0", "vit_b_16", "swin_t"} & set(BACKBONES)


def test_an_unknown_backbone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        build_model("single_frame", channels=3, frames=1, size=32, classes=2, backbone="resnet-18")


def test_the_wheel_weights_know_a_single_colour_from_noise() -> None:
    """The pretrained network answers images differently; a random one hardly does."""
    pretrained = BACKBONES["efficientnet_lite0"]("efficientnet_lite0").build(True).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.stack([torch.zeros(3, 64, 64), torch.randn(3, 64, 64, generator=generator)])
    with torch.inference_mode():
        flat, noise = pretrained(images).softmax(1)
    # total variation distance of the answers; 0 were the weights not loaded (equal rows)
    assert (flat - noise).abs().sum() / 2 > 0.5


def test_the_temporal_stem_is_the_mean_of_the_wheel_stem() -> None:
    rgb = BACKBONES["efficientnet_lite0"]("efficientnet_lite0").build(True)
    flow = build_model("early_fusion", channels=2, frames=10, size=32, classes=2)
    stem = flow.get_submodule("network._conv_stem").weight
    assert isinstance(stem, torch.Tensor)
    first = rgb.get_submodule("_conv_stem").weight
    assert isinstance(first, torch.Tensor)
    expected = first.mean(dim=1, keepdim=True).expand(-1, 20, -1, -1)
    torch.testing.assert_close(stem, expected, atol=0, rtol=0)


def test_pretrained_models_have_partial_norms_by_default() -> None:
    def frozen(**options: Any) -> int:
        model = build_model("single_frame", channels=3, frames=1, size=32, classes=2, **options)
        return sum(isinstance(part, FrozenNorm) for part in model.modules())

    norms = 49  # of EfficientNet-lite0
    assert frozen() == norms - 1
    assert frozen(partial_bn=False) == 0
    assert frozen(pretrained=False) == 0


def test_freezing_what_nothing_has_learnt_is_refused() -> None:
    with pytest.raises(ParameterError, match="partial_bn"):
        SingleFrame(pretrained=False, partial_bn=True)


@pytest.mark.parametrize(
    ("backbone", "pretrained", "message"),
    [
        ("small_cnn", True, "set pretrained = false"),
        ("efficientnet_lite0", "IMAGENET1K_V9", "known: imagenet"),
        ("resnet18", "IMAGENET1K_V9", "known: IMAGENET1K_V1"),
    ],
)
def test_weights_that_do_not_exist_are_refused(
    backbone: str, pretrained: bool | str, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        BACKBONES[backbone](backbone).build(pretrained)


@pytest.mark.usefixtures("offline")
def test_weights_that_cannot_be_downloaded_give_one_clear_line() -> None:
    with pytest.raises(
        CheckpointError, match=r"'resnet18'.*cannot be downloaded.*efficientnet_lite0"
    ):
        build_model("single_frame", channels=3, frames=1, size=32, classes=2, backbone="resnet18")


def test_options_say_what_rgb_the_backbone_expects() -> None:
    # (v - 127) / 128 of 0..255
    lite = SingleFrame().pixels
    assert [
        (127 / 255 - mean) / deviation
        for mean, deviation in zip(lite.mean, lite.deviation, strict=True)
    ] == [0, 0, 0]
    assert SingleFrame(backbone="resnet18").pixels.mean == (0.485, 0.456, 0.406)


def test_a_wrong_type_of_option_is_a_recipe_error() -> None:
    with pytest.raises(RecipeError, match="backbone"):
        build_model("single_frame", channels=3, frames=1, size=32, classes=2, backbone=18)
