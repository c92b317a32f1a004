"""Inflation: a still clip has the scores of its image, for any 2D network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from efficientnet_lite_pytorch.utils import Conv2dDynamicSamePadding
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

from flowstream.errors import ParameterError, ShapeError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.i3d import I3D
from flowstream.models.layers.folding import fold, set_clip_count, unfold
from flowstream.models.layers.inflate import InflatedConv, inflate, inflate_maps
from tests.models.families import FAMILIES


def randomise(network: nn.Module, side: int) -> nn.Module:
    """A random network whose scores tell images apart, as a trained one's would.

    Norms get the statistics of some images and random scales, convolutions He's initialisation and
    ConvNeXt's residual branches, which start at a millionth, their full size; the last layer is
    scaled until the scores of images differ by about 1. Otherwise all would agree by vanishing.
    """
    generator = torch.Generator().manual_seed(0)
    some = torch.randn(8, 3, side, side, generator=generator)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "layer_scale" in name:
                parameter.uniform_(0.5, 1.0, generator=generator)
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=generator)
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 1.0
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0, 0.1, generator=generator)
        network.train()(some)
        last = [part for part in network.modules() if isinstance(part, nn.Linear)][-1]
        last.weight /= network.eval()(some).std(dim=0).mean()
    return network


def images(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def repeat(pictures: Tensor, frames: int) -> Tensor:
    """Return (N, C, T, H, W) clips, each of one repeated image."""
    return pictures.unsqueeze(2).repeat(1, 1, frames, 1, 1)


@pytest.mark.parametrize("backbone", FAMILIES)
def test_a_clip_of_one_repeated_image_gives_the_scores_of_the_2d_network(backbone: str) -> None:
    family = BACKBONES[backbone](backbone)
    side = max(48, family.min_side)
    torch.manual_seed(0)
    network = randomise(family.build(False), side).double()
    pictures = images(side).double()
    with torch.inference_mode():
        expected = network(pictures)
        inflated = inflate(network, 3)(repeat(pictures, 3))
    # of scores that differ between images
    assert (expected[0] - expected[1]).abs().max() > 0.1
    # 1e-9: three thirds in float64, through up to 120 layers; in float32 it is some 1e-4
    torch.testing.assert_close(inflated, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_pretrained_weights_keep_their_scores_at_any_length_and_kernel(
    frames: int, kernel: int
) -> None:
    network = BACKBONES["efficientnet_lite0"]("efficientnet_lite0").build(True).eval()
    with torch.inference_mode():
        expected = network(images(64))
        inflated = inflate(network, kernel)(repeat(images(64), frames))
    assert expected.std() > 0.5
    torch.testing.assert_close(inflated, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, (3, 5), stride=2, padding=(1, 2), bias=False),
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 8, 3),
    ],
    ids=["plain", "strided", "grouped", "unpadded"],
)
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_an_inflated_convolution_is_a_3d_convolution_with_repeated_ends(
    conv: nn.Conv2d, kernel: int
) -> None:
    inflated = InflatedConv(conv, kernel)
    nn.init.normal_(inflated.weight)  # another at each moment, as training makes it
    set_clip_count(inflated, 2)
    clips = torch.randn(2, 4, 4, 9, 10)
    result = inflated(fold(clips))
    before, after = (kernel - 1) // 2, kernel // 2
    padded = torch.cat([clips[:, :, :1]] * before + [clips] + [clips[:, :, -1:]] * after, dim=2)
    expected = functional.conv3d(
        padded,
        inflated.weight,
        inflated.bias,
        stride=(1, *pair(conv.stride)),
        padding=(0, *pair(conv.padding)),
        dilation=(1, *pair(conv.dilation)),
        groups=conv.groups,
    )
    # 1e-4: sums of a hundred products in float32
    torch.testing.assert_close(unfold(result, 2), expected, atol=1e-4, rtol=1e-4)


def prune_half(conv: nn.Module) -> nn.Module:
    prune.random_unstructured(conv, "weight", 0.5)  # type: ignore[no-untyped-call]
    return conv


class _Named(nn.Conv2d):
    """Convolution that passes its parameters by name."""

    def forward(self, images: Tensor) -> Tensor:
        return functional.conv2d(
            images, bias=self.bias, padding=1, weight=self.weight, stride=self.stride
        )


class _Own(nn.Conv2d):
    """Convolution with parameters of its own."""

    def forward(self, images: Tensor) -> Tensor:
        return functional.conv2d(images, self.weight, self.bias, (2, 1), [2], 2, 2)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, (3, 5), padding="same", dilation=(1, 2)),
        nn.Conv2d(4, 6, 3, padding="valid"),
        nn.Conv2d(4, 6, (3, 5), padding=(1, 2), padding_mode="reflect"),
        Conv2dDynamicSamePadding(4, 6, 3, stride=2),
        _Named(4, 6, 3, stride=2),
        _Own(4, 6, 3, groups=2),
    ],
    ids=["same", "valid", "reflected", "TensorFlow's", "named", "own"],
)
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_frames_are_padded_as_the_2d_convolution_pads_them(conv: nn.Conv2d, kernel: int) -> None:
    pictures = torch.randn(2, 4, 9, 12)
    inflated = InflatedConv(conv, kernel)
    set_clip_count(inflated, 2)
    result = unfold(inflated(fold(repeat(pictures, 3))), 2)
    # 1e-5: sums of a hundred products in float32
    torch.testing.assert_close(result, repeat(conv(pictures), 3), atol=1e-5, rtol=1e-5)


class _Halved(nn.Conv2d):
    """Convolution with half of its weights."""

    def forward(self, images: Tensor) -> Tensor:
        return functional.conv2d(images, self.weight / 2, self.bias)


def test_a_convolution_that_changes_its_weights_is_refused() -> None:
    inflated = inflate(nn.Sequential(_Halved(3, 4, 3), nn.Flatten(), nn.LazyLinear(2)), 3)
    with pytest.raises(ParameterError, match="_Halved does not convolve with its own weights"):
        inflated(torch.randn(1, 3, 2, 5, 5))


def pair(sides: tuple[int, ...] | str) -> tuple[int, int]:
    assert not isinstance(sides, str)
    first, second = sides
    return first, second


def test_weights_are_repeated_over_time_and_divided_by_their_number() -> None:
    conv = nn.Conv2d(2, 3, 3)
    inflated = InflatedConv(conv, 5)
    assert inflated.weight.shape == (3, 2, 5, 3, 3)
    for earlier, later in pairwise(inflated.weight.unbind(dim=2)):
        assert torch.equal(earlier, later)
    # 1e-6: five fifths in float32
    torch.testing.assert_close(inflated.weight.sum(dim=2), conv.weight, atol=1e-6, rtol=1e-6)


def test_only_spatial_convolutions_are_inflated_and_saved_once() -> None:
    network = BACKBONES["resnet18"]("resnet18").build(False)
    spatial = [
        name
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1)
    ]
    names = set(network.state_dict())
    inflated = inflate(network, 3)
    assert set(inflated.network.state_dict()) == names
    found = [n for n, part in inflated.network.named_modules() if isinstance(part, nn.Conv3d)]
    assert found == spatial


def test_a_convolution_that_is_used_twice_stays_one() -> None:
    shared = nn.Conv2d(3, 3, 3, padding=1)
    network = nn.Sequential(shared, nn.ReLU(), shared, nn.Flatten(), nn.Linear(3 * 36, 2))
    pictures = torch.randn(2, 3, 6, 6)
    expected = network(pictures)
    inflated = inflate(network, 3)
    assert sum(isinstance(part, nn.Conv3d) for part in inflated.modules()) == 1
    assert not any(isinstance(part, nn.Conv2d) for part in inflated.modules())
    torch.testing.assert_close(inflated(repeat(pictures, 3)), expected, atol=1e-5, rtol=1e-5)


def test_maps_are_not_averaged_and_a_kernel_of_one_is_the_2d_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    clips = torch.randn(2, 3, 5, 6, 7)
    expected = network(clips.transpose(1, 2).flatten(0, 1))
    # not equal to the bit, because channels-last frames use other kernels
    torch.testing.assert_close(inflate_maps(copy.deepcopy(network), 1)(clips), expected)
    assert inflate_maps(network, 3)(clips).shape == (10, 4, 6, 7)


@pytest.mark.parametrize("kernel", [0, -1, 101, 10**9, 2.5, True, "3"])
def test_an_invalid_number_of_frames_of_a_kernel_is_refused(kernel: Any) -> None:
    with pytest.raises(ParameterError, match=rf"kernel: expected .*got {kernel!r}"):
        inflate(nn.Sequential(nn.Conv2d(3, 4, 3)), kernel)
    with pytest.raises(ParameterError, match=rf"kernel: expected .*got {kernel!r}"):
        I3D(kernel=kernel)


@pytest.mark.parametrize(
    "shape", [(3, 4, 8, 8), (1, 2, 3, 4, 8, 8), (0, 3, 4, 8, 8), (1, 3, 0, 8, 8)]
)
def test_inputs_that_are_not_clips_are_refused(shape: tuple[int, ...]) -> None:
    inflated = inflate(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), 3)
    with pytest.raises(ShapeError, match=r"clips: got shape \(.*expected \(N, C, T, H, W\)"):
        inflated(torch.zeros(shape))


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, prune_half])
def test_weights_that_are_computed_from_others_are_refused(
    norm: Callable[[nn.Module], nn.Module],
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), norm(nn.Conv2d(4, 4, 3)))
    with pytest.raises(ParameterError, match="the weights of '1' are computed from other tensors"):
        inflate(network, 3)


def test_frozen_parameters_and_evaluation_mode_are_kept() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval().requires_grad_(False)
    inflated = inflate(network, 3)
    assert not any(part.requires_grad for part in inflated.parameters())
    assert not any(part.training for part in inflated.network.modules())


def test_an_i3d_with_a_kernel_of_one_frame_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"kernel: got 1, expected at least 2.*single_frame"):
        I3D(kernel=1)


def test_a_network_without_spatial_convolutions_is_refused() -> None:
    with pytest.raises(ParameterError, match="no spatial convolution to inflate"):
        inflate(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 2)), 3)


def test_i3d_on_flow_starts_from_the_rgb_weights() -> None:
    flow = build_model("i3d", channels=2, frames=4, size=32, classes=3)
    stem = next(part for part in flow.modules() if isinstance(part, InflatedConv))
    rgb = BACKBONES["efficientnet_lite0"]("efficientnet_lite0").build(True)
    first = next(part for part in rgb.modules() if isinstance(part, nn.Conv2d)).weight
    # cross-modality: the mean over colours in both channels; then a third at each frame
    expected = first.mean(dim=1, keepdim=True)[:, :, None].expand(stem.weight.shape) / 3
    torch.testing.assert_close(stem.weight, expected, atol=1e-6, rtol=1e-5)
