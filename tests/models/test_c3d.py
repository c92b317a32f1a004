"""C3D of Tran et al. 2015: figure 3 and section 3.2."""

from __future__ import annotations

import pytest
import torch

from flowstream.errors import RecipeError
from flowstream.models import build_model
from flowstream.models.c3d import C3D, C3DNet
from flowstream.models.inspect.describe import Layer, describe
from flowstream.models.model import ClipShape

PAPER = ClipShape(3, 16, 112, 112)
SPORTS_1M = 487


@pytest.fixture(scope="module")
def layers() -> dict[str, Layer]:
    """Describe the network of the paper."""
    traced = describe(C3D(), PAPER, SPORTS_1M, receptive_field=False)
    return {layer.name.removeprefix("maps."): layer for layer in traced.layers}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("conv1a", (64, 16, 112, 112)),
        ("pool1", (64, 16, 56, 56)),
        ("conv2a", (128, 16, 56, 56)),
        ("pool2", (128, 8, 28, 28)),
        ("conv3a", (256, 8, 28, 28)),
        ("conv3b", (256, 8, 28, 28)),
        ("pool3", (256, 4, 14, 14)),
        ("conv4a", (512, 4, 14, 14)),
        ("conv4b", (512, 4, 14, 14)),
        ("pool4", (512, 2, 7, 7)),
        ("conv5a", (512, 2, 7, 7)),
        ("conv5b", (512, 2, 7, 7)),
        ("pool5", (512, 1, 4, 4)),  # the authors' pool5 pads 7 x 7 to 8 x 8
        ("fc6.1", (4096,)),
        ("fc7.1", (4096,)),
        ("fc8.1", (SPORTS_1M,)),
    ],
)
def test_the_maps_have_the_sizes_of_figure_3(
    layers: dict[str, Layer], name: str, size: tuple[int, ...]
) -> None:
    assert layers[name].size == size


def test_the_parameters_are_those_of_the_paper_counted_by_hand(layers: dict[str, Layer]) -> None:
    # (inputs x 27 + 1) x outputs for 3x3x3 convolutions
    maps = [(3, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512), (512, 512)]
    convolutions = sum((inside * 27 + 1) * out for inside, out in [*maps, (512, 512)])
    assert convolutions == 27_655_936
    # the input of fc6 is 512 x 1 x 4 x 4
    linear = (8192 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * SPORTS_1M
    assert sum(layer.parameters for layer in layers.values()) == convolutions + linear


def test_the_operations_are_the_published_38_5_billion_multiply_adds(
    layers: dict[str, Layer],
) -> None:
    # Tran et al. 2017, arXiv:1708.05038: 38.5 billion, a multiply-add counts as one
    assert sum(layer.flops for layer in layers.values()) / 2e9 == pytest.approx(38.5, abs=0.05)


def test_pool1_keeps_time_and_later_pools_halve_it_while_frames_are_left() -> None:
    traced = describe(C3D(width=2, features=4), ClipShape(3, 6, 32, 32), 2, receptive_field=False)
    pools = [layer.size[1] for layer in traced.layers if ".pool" in layer.name]
    assert pools == [6, 3, 1, 1, 1]


def test_scores_are_computed_from_the_fc6_features() -> None:
    network = build_model("c3d", channels=3, frames=4, size=32, classes=5, width=4, features=7)
    assert isinstance(network, C3DNet)
    network.eval()
    clips = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    features = network.features(clips)
    assert features.shape == (2, 7)
    assert (features >= 0).all()
    assert torch.equal(network.fc8(network.fc7(features)), network(clips))


def test_activations_neither_vanish_nor_explode_before_training() -> None:
    torch.manual_seed(0)
    network = build_model("c3d", channels=3, frames=16, size=32, classes=10, width=16).eval()
    scores = network(torch.randn(4, 3, 16, 32, 32))
    # He's initialisation keeps the mean square over the ten layers before; torch's own would give
    # differences of 1e-4 between clips, which a network needs many epochs to find
    assert 0.1 < scores.std(dim=0).mean() < 10


def test_norms_lie_between_convolutions_and_activations() -> None:
    network = build_model("c3d", channels=3, frames=4, size=32, classes=5, width=4, norm=True)
    assert isinstance(network, C3DNet)
    kinds = [name.rstrip("ab12345") for name, _ in network.maps.named_children()]
    assert kinds.count("conv") == kinds.count("norm") == 8
    assert "convnormrelu" * 2 in "".join(kinds)
    assert not any(
        "norm" in name for name, _ in C3D(width=4, features=8).build(PAPER, 5).maps.named_children()
    )


@pytest.mark.parametrize(("option", "value"), [("width", 0), ("features", 0)])
def test_widths_below_one_are_refused(option: str, value: int) -> None:
    with pytest.raises(RecipeError, match=f"{option}: expected at least 1, got"):
        build_model("c3d", channels=3, frames=4, size=32, classes=5, **{option: value})
