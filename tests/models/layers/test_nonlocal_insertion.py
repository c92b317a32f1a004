"""Insertion of nonlocal blocks into several kinds of 3D networks."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
import torchvision
from torch import Tensor, nn

from flowstream.errors import ParameterError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.layers.inflate import inflate
from flowstream.models.layers.nonlocal_block import (
    Followed,
    NonlocalBlock,
    Pairwise,
    insert_nonlocal,
)

PAIRWISE: tuple[Pairwise, ...] = get_args(Pairwise)

every_pairwise = pytest.mark.parametrize("pairwise", PAIRWISE)


def activate(block: NonlocalBlock) -> NonlocalBlock:
    """Return a block in evaluation mode whose norm does not change values."""
    nn.init.ones_(block.norm.weight)
    block.norm.eps = 0.0
    return block.double().eval()


def blocks_in(network: nn.Module) -> list[NonlocalBlock]:
    return [part for part in network.modules() if isinstance(part, NonlocalBlock)]


@every_pairwise
@pytest.mark.parametrize(
    ("name", "behind", "channels"),
    [
        ("r3d_18", ["layer2.1", "layer3.0"], [128, 256]),
        # inception branches: the last convolution does not have all channels of the output
        ("s3d", ["features.5", "features.8"], [256, 512]),
    ],
)
def test_inserting_blocks_into_a_trained_network_leaves_its_outputs(
    pairwise: Pairwise, name: str, behind: list[str], channels: list[int]
) -> None:
    torch.manual_seed(0)
    network = torchvision.models.get_model(name)
    network.avgpool = nn.AdaptiveAvgPool3d(1)  # S3D's pool needs 224 x 224
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        network(clips)  # the norms get the statistics of clips
        before = network.eval()(clips)
        insert_nonlocal(network, behind, clip=(3, 8, 32, 32), pairwise=pairwise, pool=2)
        assert not any(part.training for part in network.modules() if part not in new(network))
        network.eval()
        assert [block.norm.num_features for block in blocks_in(network)] == channels
        assert torch.equal(network(clips), before)


def new(network: nn.Module) -> set[nn.Module]:
    """The parts of a network that were inserted."""
    return {part for block in blocks_in(network) for part in block.modules()} | {
        part for part in network.modules() if isinstance(part, Followed)
    }


def test_blocks_in_an_inflated_network_relate_places_of_all_frames() -> None:
    torch.manual_seed(0)
    network = inflate(BACKBONES["small_cnn"]("small_cnn").build(False), 2).eval()
    clips = torch.randn(2, 3, 4, 16, 16)
    before = network(clips)
    insert_nonlocal(network, ["network.pool1"], clip=(3, 4, 16, 16), pairwise="gaussian", pool=1)
    network.eval()
    assert torch.equal(network(clips), before)
    (block,) = blocks_in(network)
    activate(block).float()
    clips[0, :, 3, 5, 5] = torch.nan
    seen: list[Tensor] = []
    block.register_forward_hook(lambda _, __, maps: seen.append(maps))
    network(clips)
    assert seen[0].shape == (2, 32, 4, 4, 4)
    assert seen[0][0].isnan().all()  # every place of every frame, of this clip alone
    assert not seen[0][1].isnan().any()


def test_inserting_changes_neither_statistics_nor_modes() -> None:
    network = build_model("r3d_18", channels=3, frames=4, size=16, classes=3).train()
    frozen = next(part for part in network.modules() if isinstance(part, nn.BatchNorm3d)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    insert_nonlocal(
        network,
        ["network.layer4"],
        clip=(3, 4, 16, 16),
        pairwise="dot_product",
        pool=1,
    )
    after = {
        name.replace("layer4.part.", "layer4.", 1): v for name, v in network.state_dict().items()
    }
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not frozen.training
    assert sum(not part.training for part in network.modules()) == 1


@pytest.mark.parametrize(
    ("base", "options", "behind"),
    [
        ("slow_fusion", {"widths": (4, 6, 8)}, ("maps.2", "maps.6")),
        ("c3d", {"width": 4, "features": 8}, ("maps",)),
        ("mc3_18", {}, ("network.layer2", "network.layer3.0")),
        (
            "i3d",
            {"backbone": "small_cnn", "pretrained": False},
            ("network.network.act1",),
        ),
        # whose blocks are called with an option
        ("i3d", {}, ("network.network._blocks.7", "network.network._blocks.10")),
    ],
)
def test_the_model_is_its_3d_cnn_with_blocks(
    base: str, options: dict[str, Any], behind: tuple[str, ...]
) -> None:
    def network(name: str, **own: Any) -> nn.Module:
        torch.manual_seed(0)
        return build_model(
            name, channels=3, frames=4, size=32, classes=3, dropout=0.0, **own
        ).eval()

    plain = network(base, **options)
    attending = network("nonlocal", base=base, options=options, behind=behind, attended_pool=3)
    assert len(blocks_in(attending)) == len(behind)
    clips = torch.randn(2, 3, 4, 32, 32)
    # the same seed: the blocks are drawn after all else
    assert torch.equal(plain(clips), attending(clips))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "layer9",
            r"no part 'layer9' in VideoResNet\. Did you mean 'layer\d'\? Its children: stem",
        ),
        ("", "no part ''"),
        ("fc", r"part 'fc' returns \(1, 400\), expected maps"),
        ("unused", "part 'unused' returns no single tensor, expected maps"),
    ],
)
def test_parts_that_make_no_maps_are_refused_before_anything_changes(
    name: str, message: str
) -> None:
    network = torchvision.models.get_model("r3d_18")
    network.unused = nn.Identity()
    before = str(network)
    with pytest.raises(ParameterError, match=message):
        insert_nonlocal(
            network,
            ["layer1", name],
            clip=(3, 2, 16, 16),
            pairwise="gaussian",
            pool=1,
        )
    assert str(network) == before


class Twice(nn.Module):
    """Uses a part twice, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(3, 3, 3, padding=1)
        self.second = self.first
        self.widen = nn.Identity()

    def forward(self, clips: Tensor) -> Tensor:
        maps: Tensor = self.second(self.widen(self.first(clips)))
        wide: Tensor = self.widen(torch.cat([maps, maps], dim=1))
        return wide.mean(dim=(2, 3, 4))


def test_blocks_take_the_type_and_mode_of_their_network_and_all_names_of_their_part() -> None:
    network = Twice().double().eval()
    insert_nonlocal(network, ["first"], clip=(3, 2, 6, 6), pairwise="gaussian", pool=1)
    assert isinstance(network.first, Followed)
    assert network.first is network.second
    assert not any(part.training for part in network.modules())
    assert network(torch.zeros(1, 3, 2, 6, 6, dtype=torch.float64)).shape == (1, 6)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (Twice(), "widen"),  # now 3 maps, now 6
        (build_model("swin3d_t", channels=3, frames=4, size=32, classes=2), "network.features.0"),
        (
            build_model("recurrent_conv", channels=3, frames=4, size=32, classes=2, widths=(12,)),
            "layers.0",
        ),
    ],
)
def test_parts_without_maps_of_one_width_are_refused(network: nn.Module, name: str) -> None:
    with pytest.raises(ParameterError, match=f"part '{name}' returns .*expected maps"):
        insert_nonlocal(network, [name], clip=(3, 4, 32, 32), pairwise="gaussian", pool=1)


def test_maps_of_single_frames_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"'network.conv0' returns \(4, 16, 16, 16\)"):
        build_model(
            "nonlocal",
            channels=3,
            frames=4,
            size=16,
            classes=3,
            base="single_frame",
            options={"backbone": "small_cnn", "pretrained": False},
            behind=["network.conv0"],
        )


@pytest.mark.parametrize("names", [["layer2", "layer2.0"], ["layer2.0", "layer2"], ["layer3"] * 2])
def test_parts_inside_each_other_are_refused_before_anything_changes(names: list[str]) -> None:
    network = torchvision.models.video.r3d_18()
    before = str(network)
    with pytest.raises(ParameterError, match="name only one"):
        insert_nonlocal(network, names, clip=(3, 2, 16, 16), pairwise="gaussian", pool=1)
    assert str(network) == before
