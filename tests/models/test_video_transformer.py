"""Tubelets, three ways to attend, and the weights of 2D transformers."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from flowstream.errors import CheckpointError, ParameterError
from flowstream.models import build_model
from flowstream.models.backbones.vit_weights import inflate_filters, resample_positions
from flowstream.models.model import ClipShape
from flowstream.models.video_transformer import TubeletTransformer, VideoTransformer

SMALL: dict[str, Any] = {"patch": 8, "width": 16, "depth": 2, "heads": 2}


def image_transformer(**changes: Any) -> VisionTransformer:
    """One of torchvision's, small, with random weights everywhere."""
    shape = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
    torch.manual_seed(0)
    vit = VisionTransformer(**{**shape, "mlp_dim": 64, **changes})
    torch.nn.init.normal_(vit.class_token)  # torchvision starts it at zero
    return vit.eval()


def saved(vit: VisionTransformer, folder: Path) -> str:
    path = folder / "vit.pt"
    torch.save(vit.state_dict(), path)
    return str(path)


def built(*, channels: int = 3, frames: int = 6, size: Any = 32, **options: Any) -> Any:
    torch.manual_seed(1)
    network = build_model(
        "video_transformer",
        channels=channels,
        frames=frames,
        size=size,
        classes=4,
        **{**SMALL, **options},
    )
    assert isinstance(network, TubeletTransformer)
    return network.eval()


def still(frames: int = 6) -> Tensor:
    """(2, 3, T, 32, 32): two images, each repeated over time."""
    images = torch.randn(2, 3, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    return images.expand(-1, -1, frames, -1, -1)


def class_tokens(vit: VisionTransformer, images: Tensor) -> Tensor:
    """(N, D): what the 2D transformer's head sees."""
    patches = vit._process_input(images)
    heads = vit.class_token.expand(len(images), -1, -1)
    encoded: Tensor = vit.encoder(torch.cat([heads, patches], dim=1))
    return encoded[:, 0]


def seen_by_the_head(network: TubeletTransformer, clips: Tensor) -> Tensor:
    given: list[Tensor] = []
    network.last.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.inference_mode():
        network(clips)
    return given[0]


@pytest.mark.parametrize("inflation", ["central", "average"])
@pytest.mark.parametrize("tubelet", [1, 2, 3])
def test_a_still_clip_is_to_divided_attention_what_its_image_is_to_the_2d_transformer(
    tmp_path: Path, inflation: str, tubelet: int
) -> None:
    vit = image_transformer()
    network = built(weights=saved(vit, tmp_path), inflation=inflation, tubelet=tubelet)
    with torch.inference_mode():
        expected = class_tokens(vit, still()[:, :, 0])
    # images that are told apart
    assert (expected[0] - expected[1]).abs().max() > 0.1
    # 1e-5: the same blocks; filters over frames and means over moments round anew
    torch.testing.assert_close(seen_by_the_head(network, still()), expected, atol=1e-5, rtol=1e-5)


def test_averaged_filters_see_the_mean_of_a_tubelet_and_central_ones_its_middle(
    tmp_path: Path,
) -> None:
    weights = saved(image_transformer(), tmp_path)
    clips = torch.randn(2, 3, 6, 32, 32)
    mean = clips.unflatten(2, (2, 3)).mean(dim=3)  # type: ignore[no-untyped-call]
    average = built(weights=weights, inflation="average", tubelet=3)
    central = built(weights=weights, inflation="central", tubelet=3)
    alone = built(weights=weights, tubelet=1, frames=2)
    # 1e-5: sums of 600 products in another order
    for network, images in ((average, mean), (central, clips[:, :, 1::3])):
        torch.testing.assert_close(network.embed(clips), alone.embed(images), atol=1e-5, rtol=1e-5)


def test_filters_are_inflated_as_section_3_4_says() -> None:
    filters = torch.randn(5, 3, 4, 4)
    average = inflate_filters(filters, frames=4, inflation="average")
    central = inflate_filters(filters, frames=4, inflation="central")
    for frame in range(4):
        assert torch.equal(average[:, :, frame], filters / 4)
        assert torch.equal(central[:, :, frame], filters if frame == 2 else 0 * filters)


@pytest.mark.parametrize("side", [4, 6, 9])
def test_positions_are_resampled_as_torchvision_does(side: int) -> None:
    positions = torch.randn(1, 1 + 16, 8)
    expected = interpolate_embeddings(
        8 * side, 8, OrderedDict({"encoder.pos_embedding": positions})
    )["encoder.pos_embedding"]
    resampled = resample_positions(positions, (side, side))
    torch.testing.assert_close(resampled, expected, atol=0, rtol=0)
    assert torch.equal(resampled[:, 0], positions[:, 0])


def test_positions_that_are_not_square_are_refused() -> None:
    with pytest.raises(CheckpointError, match="has 15 positions, expected a square"):
        resample_positions(torch.zeros(1, 1 + 15, 8), (4, 4))


def test_a_clip_of_another_shape_than_the_weights_gets_a_grid_of_its_own(tmp_path: Path) -> None:
    network = built(weights=saved(image_transformer(), tmp_path), size=(24, 41))
    assert network.grid == (3, 5)
    assert network(torch.zeros(1, 3, 6, 24, 41)).shape == (1, 4)


def test_flow_gets_the_mean_of_the_colours_filters(tmp_path: Path) -> None:
    vit = image_transformer()
    network = built(channels=2, weights=saved(vit, tmp_path), tubelet=1)
    mean = vit.conv_proj.weight.mean(dim=1)
    for channel in range(2):
        torch.testing.assert_close(network.embed.weight[:, channel, 0], mean, atol=0, rtol=0)


def test_weights_decide_how_rgb_is_normalised(tmp_path: Path) -> None:
    assert VideoTransformer().pixels.mean == (0.5, 0.5, 0.5)
    assert VideoTransformer(weights="vit_b_16").pixels.mean == (0.485, 0.456, 0.406)


def test_a_blank_network_needs_no_weights() -> None:
    model = VideoTransformer(**SMALL, weights="gone.pt")
    with pytest.raises(CheckpointError, match="neither a file nor"):
        model.check_weights()
    assert isinstance(model.build(ClipShape(3, 4, 32, 32), 4, blank=True), TubeletTransformer)


def test_joint_attention_is_one_over_all_tokens(tmp_path: Path) -> None:
    network = built(attention="joint", depth=1)
    tokens = torch.randn(2, 3, 17, 16)
    block = network.blocks[0]
    expected = block.spatial(tokens.reshape(2, 51, 16)).reshape(2, 3, 17, 16)
    assert torch.equal(block(tokens), expected)


def test_factorised_attention_sees_space_first_and_then_time() -> None:
    network = built(attention="factorised", depth=1, temporal_depth=2)
    tokens = torch.randn(2, 3, 17, 16)
    block = network.blocks[0]
    alone = torch.stack([block.spatial(tokens[:, moment]) for moment in range(3)], dim=1)
    # 1e-6: other batch sizes
    torch.testing.assert_close(block(tokens), alone, atol=1e-6, rtol=1e-5)
    assert len(network.over_time) == 2


def test_a_divided_block_starts_as_the_spatial_one() -> None:
    block = built(attention="divided", depth=1).blocks[0]
    tokens = torch.randn(2, 3, 17, 16)
    alone = block.spatial(tokens.flatten(0, 1)).reshape(tokens.shape)
    assert torch.equal(block(tokens), alone)


def test_a_tubelet_is_at_most_as_long_as_the_clip() -> None:
    network = built(frames=2, tubelet=4)
    assert network.embed.kernel_size == (2, 8, 8)
    assert network(torch.zeros(1, 3, 2, 32, 32)).shape == (1, 4)


def test_weights_that_do_not_fit_are_refused_by_build_too(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="width: got 16, expected 32; set width = 32"):
        built(weights=saved(image_transformer(hidden_dim=32), tmp_path))
    with pytest.raises(CheckpointError, match=r"neither a file nor one.*Did you mean 'vit_b_16'"):
        built(weights="vit_b16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "axial"}, "attention: got 'axial', expected one of: joint, divided"),
        ({"inflation": "none"}, "inflation: got 'none', expected central or average"),
        ({"depth": 0}, "depth: expected 1 to 1000, got 0"),
        ({"heads": 5}, "heads: got 5, expected a divisor of width 192"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        VideoTransformer(**options)
