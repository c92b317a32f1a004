"""What a file of a 2D transformer's weights has to be, and what is said where it is not."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.vision_transformer import VisionTransformer

from flowstream.errors import CheckpointError
from flowstream.models.backbones.vit_files import HEADS, ViTSize, check_vit, read_vit
from flowstream.models.video_transformer import VideoTransformer

SIZE = ViTSize(patch=8, width=16, depth=2, heads=2)
State = dict[str, Any]
LAYER = "encoder.layers.encoder_layer_"


def state_of(**changes: Any) -> State:
    """Of one of torchvision's transformers, small, of two layers."""
    shape = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
    return dict(VisionTransformer(**{**shape, "mlp_dim": 64, **changes}).state_dict())


def saved(content: object, folder: Path, **how: Any) -> str:
    path = folder / "vit.pt"
    torch.save(content, path, **how)
    return str(path)


def refusal(weights: str, size: ViTSize = SIZE) -> str:
    """The one line about them."""
    with pytest.raises(CheckpointError) as caught:
        check_vit(weights, size)
    line = str(caught.value)
    assert line.startswith(f"weights {weights!r}: ")
    assert "\n" not in line
    return line.removeprefix(f"weights {weights!r}: ")


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_fit_are_read_as_they_are(tmp_path: Path, zipped: bool) -> None:
    state = state_of()
    weights = saved(state, tmp_path, _use_new_zipfile_serialization=zipped)
    check_vit(weights, SIZE)
    check_vit(weights, SIZE._replace(depth=1))  # the first of its layers
    found = read_vit(weights, SIZE)
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_the_names_of_torchvisions_own_older_files_are_known(tmp_path: Path) -> None:
    state = state_of()
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
        for name, value in state.items()
    }
    assert old.keys() != state.keys()
    assert read_vit(saved(old, tmp_path), SIZE).keys() == state.keys()


def test_numbers_of_half_precision_become_single_ones(tmp_path: Path) -> None:
    halves = {name: value.half() for name, value in state_of().items()}
    found = read_vit(saved(halves, tmp_path), SIZE)
    assert {value.dtype for value in found.values()} == {torch.float32}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def cut_to_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[64:1024] = bytes(960)
    path.write_bytes(content)


def a_text(path: Path) -> None:
    path.write_text("no weights")


def a_plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"epoch": 3}))


def a_whole_network(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


@pytest.mark.parametrize(
    "damage",
    [cut, cut_to_half, emptied, overwritten, a_text, a_plain_pickle, a_whole_network],
)
def test_a_file_that_torch_cannot_read_safely_is_refused(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    weights = saved(state_of(), tmp_path)
    damage(Path(weights))
    assert "not a file of weights, or one that was cut off" in refusal(weights)


def test_numbers_that_are_none_and_patches_without_colour_are_refused(tmp_path: Path) -> None:
    state = state_of()
    state["encoder.ln.weight"][3] = torch.nan
    assert "'encoder.ln.weight' holds numbers that are not finite" in refusal(
        saved(state, tmp_path)
    )
    grey = state_of()
    grey["conv_proj.weight"] = grey["conv_proj.weight"][:, :1]
    assert "takes 1 channels, expected 3: RGB" in refusal(saved(grey, tmp_path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)) == "a folder, expected a file"
    for name in ("gone.pt", "nul\0.pt"):
        assert "neither a file nor one of torchvision's: vit_b_16" in refusal(str(tmp_path / name))
    assert "Did you mean 'vit_b_16'" in refusal("vit_b16")
    refusal("x" * 300)  # longer than a file's name may be


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "holds a list, expected a dict of tensors"),
        (torch.zeros(2), "holds a Tensor, expected a dict"),
        ({"model": {"conv_proj.weight": torch.zeros(2)}}, "'model' is a dict, expected tensors"),
        ({"state_dict": [1.0]}, "'state_dict' is a list, expected tensors"),
        ({"conv_proj.weight": 1.0}, "is a float, expected tensors by name"),
        ({7: torch.zeros(2)}, "7 is a Tensor, expected tensors by name"),
        ({"conv_proj.weight": torch.zeros(2, dtype=torch.int64)}, "is of torch.int64"),
        ({"conv_proj.weight": torch.eye(2).to_sparse()}, "expected dense floating-point"),
        ({"conv_proj.weight": torch.empty(2, device="meta")}, "on meta, expected dense"),
        ({}, "lacks 'conv_proj.weight', expected a ViT's tensors by torchvision's names"),
        ({"patch_embed.proj.weight": torch.zeros(2)}, "lacks 'conv_proj.weight'"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object, message: str) -> None:
    assert message in refusal(saved(content, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_dim": 32}, "width: got 16, expected 32; set width = 32"),
        ({"patch_size": 16}, "patch: got 8, expected 16; set patch = 16"),
        ({"num_layers": 1}, "depth: got 2, expected 1 at most; set depth = 1"),
        ({"mlp_dim": 32}, f"'{LAYER}0.mlp.0.weight' is 32 x 16, expected 64 x 16"),
    ],
)
def test_weights_of_another_transformer_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    assert message in refusal(saved(state_of(**changes), tmp_path))


@pytest.mark.parametrize("name", list(state_of()))
def test_each_tensor_is_held_to_its_shape(tmp_path: Path, name: str) -> None:
    state = state_of()
    taken = not name.startswith("heads.")
    for wrong in (state[name][None], state[name].flatten()[:1], state[name].flatten()[0]):
        weights = saved({**state, name: wrong}, tmp_path)
        if taken:
            assert f"{name!r} " in refusal(weights) or "got " in refusal(weights)
        else:
            check_vit(weights, SIZE)
    del state[name]
    if taken:
        assert f"lacks {name!r}" in refusal(saved(state, tmp_path))


def test_positions_off_a_square_and_parts_of_no_transformer_are_refused(tmp_path: Path) -> None:
    positions = torch.zeros(1, 1 + 15, 16)
    weights = saved({**state_of(), "encoder.pos_embedding": positions}, tmp_path)
    assert refusal(weights) == "'encoder.pos_embedding' has 15 places, expected a square"
    weights = saved({**state_of(), f"{LAYER}1.gamma": torch.zeros(16)}, tmp_path)
    assert "gamma' is no part of a ViT" in refusal(weights)


def published(width: int) -> dict[str, Tensor]:
    """Enough of a ViT of that width to be told by."""
    return {"conv_proj.weight": torch.zeros(1).expand(width, 3, 16, 16)}


@pytest.mark.parametrize(("width", "heads"), HEADS.items())
def test_a_published_width_has_its_own_number_of_heads(
    tmp_path: Path, width: int, heads: int
) -> None:
    weights = saved(published(width), tmp_path)
    wrong = VideoTransformer(width=width, heads=heads // 2 or 1, weights=weights)
    if wrong.heads != heads:
        with pytest.raises(CheckpointError, match=rf"heads: got \d+, expected {heads}; set heads"):
            wrong.check_weights()
    with pytest.raises(CheckpointError, match="lacks"):  # heads are right, and more is asked for
        VideoTransformer(width=width, heads=heads, weights=weights).check_weights()


def test_one_of_torchvisions_is_held_to_its_own_numbers_and_not_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: pytest.fail("fetched"))
    base = ViTSize(patch=16, width=768, depth=12, heads=12)
    before = torch.random.get_rng_state()
    check_vit("vit_b_16", base)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert refusal("vit_b_16", base._replace(heads=3)) == (
        "heads: got 3, expected 12; set heads = 12"
    )
    assert "patch: got 16, expected 32" in refusal("vit_b_32", base)
    assert "width: got 768, expected 1280" in refusal("vit_h_14", base)
    assert "depth: got 13, expected 12 at most" in refusal("vit_b_16", base._replace(depth=13))
    with pytest.raises(CheckpointError, match="heads: got 3, expected 12"):
        read_vit("vit_b_16", base._replace(heads=3))
