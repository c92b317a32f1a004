"""Valid and invalid files of weights of a 2D transformer."""

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


def make_state(**changes: Any) -> State:
    """Return the state of a small transformer of torchvision with two layers."""
    shape = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
    return dict(VisionTransformer(**{**shape, "mlp_dim": 64, **changes}).state_dict())


def save(content: object, directory: Path, **how: Any) -> str:
    path = directory / "vit.pt"
    torch.save(content, path, **how)
    return str(path)


def refusal(weights: str, size: ViTSize = SIZE) -> str:
    """Return the one-line error message about a file."""
    with pytest.raises(CheckpointError) as caught:
        check_vit(weights, size)
    line = str(caught.value)
    assert line.startswith(f"weights {weights!r}: ")
    assert "\n" not in line
    return line.removeprefix(f"weights {weights!r}: ")


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_fit_are_read_as_they_are(tmp_path: Path, zipped: bool) -> None:
    state = make_state()
    weights = save(state, tmp_path, _use_new_zipfile_serialization=zipped)
    check_vit(weights, SIZE)
    check_vit(weights, SIZE._replace(depth=1))  # the first of its layers
    found = read_vit(weights, SIZE)
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_the_names_of_torchvisions_own_older_files_are_known(tmp_path: Path) -> None:
    state = make_state()
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
        for name, value in state.items()
    }
    assert old.keys() != state.keys()
    assert read_vit(save(old, tmp_path), SIZE).keys() == state.keys()


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    halves = {name: value.half() for name, value in make_state().items()}
    found = read_vit(save(halves, tmp_path), SIZE)
    assert {value.dtype for value in found.values()} == {torch.float32}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def truncate_to_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[64:1024] = bytes(960)
    path.write_bytes(content)


def write_text(path: Path) -> None:
    path.write_text("no weights")


def write_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"epoch": 3}))


def write_network(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


@pytest.mark.parametrize(
    "damage",
    [truncate, truncate_to_half, empty, overwrite, write_text, write_pickle, write_network],
)
def test_a_file_that_torch_cannot_read_safely_is_refused(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    weights = save(make_state(), tmp_path)
    damage(Path(weights))
    assert "not a file of weights" in refusal(weights)


def test_values_that_are_not_finite_and_grey_patches_are_refused(tmp_path: Path) -> None:
    state = make_state()
    state["encoder.ln.weight"][3] = torch.nan
    assert "'encoder.ln.weight' has values that are not finite" in refusal(save(state, tmp_path))
    grey = make_state()
    grey["conv_proj.weight"] = grey["conv_proj.weight"][:, :1]
    assert "has 1 input channels, expected 3" in refusal(save(grey, tmp_path))


def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)) == "got a directory, expected a file"
    for name in ("gone.pt", "nul\0.pt"):
        assert "neither a file nor one of torchvision's names: vit_b_16" in refusal(
            str(tmp_path / name)
        )
    assert "Did you mean 'vit_b_16'" in refusal("vit_b16")
    refusal("x" * 300)  # longer than a file's name may be


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "got a list, expected a dict"),
        (torch.zeros(2), "got a Tensor, expected a dict"),
        ({"model": {"conv_proj.weight": torch.zeros(2)}}, "'model' is a dict, expected tensors"),
        ({"state_dict": [1.0]}, "'state_dict' is a list, expected tensors"),
        ({"conv_proj.weight": 1.0}, "is a float, expected tensors by name"),
        ({7: torch.zeros(2)}, "7 is a Tensor, expected tensors by name"),
        ({"conv_proj.weight": torch.zeros(2, dtype=torch.int64)}, "is torch.int64"),
        ({"conv_proj.weight": torch.eye(2).to_sparse()}, "expected a dense floating-point"),
        ({"conv_proj.weight": torch.empty(2, device="meta")}, "on meta, expected a dense"),
        ({}, "'conv_proj.weight' is missing"),
        ({"patch_embed.proj.weight": torch.zeros(2)}, "'conv_proj.weight' is missing"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object, message: str) -> None:
    assert message in refusal(save(content, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_dim": 32}, "width: got 16, expected 32; set width = 32"),
        ({"patch_size": 16}, "patch: got 8, expected 16; set patch = 16"),
        ({"num_layers": 1}, "depth: got 2, expected at most 1; set depth = 1"),
        ({"mlp_dim": 32}, f"'{LAYER}0.mlp.0.weight' is 32 x 16, expected 64 x 16"),
    ],
)
def test_weights_of_another_transformer_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    assert message in refusal(save(make_state(**changes), tmp_path))


@pytest.mark.parametrize("name", list(make_state()))
def test_a_tensor_of_another_shape_is_refused(tmp_path: Path, name: str) -> None:
    state = make_state()
    taken = not name.startswith("heads.")
    for wrong in (state[name][None], state[name].flatten()[:1], state[name].flatten()[0]):
        weights = save({**state, name: wrong}, tmp_path)
        if taken:
            assert f"{name!r} " in refusal(weights) or "got " in refusal(weights)
        else:
            check_vit(weights, SIZE)
    del state[name]
    if taken:
        assert f"{name!r} is missing" in refusal(save(state, tmp_path))


def test_positions_that_are_not_square_and_unknown_tensors_are_refused(tmp_path: Path) -> None:
    positions = torch.zeros(1, 1 + 15, 16)
    weights = save({**make_state(), "encoder.pos_embedding": positions}, tmp_path)
    assert refusal(weights) == "'encoder.pos_embedding' has 15 positions, expected a square number"
    weights = save({**make_state(), f"{LAYER}1.gamma": torch.zeros(16)}, tmp_path)
    assert "gamma' does not belong to a ViT" in refusal(weights)


def make_published_state(width: int) -> dict[str, Tensor]:
    """Return the tensors of a ViT that determine its width."""
    return {"conv_proj.weight": torch.zeros(1).expand(width, 3, 16, 16)}


@pytest.mark.parametrize(("width", "heads"), HEADS.items())
def test_a_published_width_has_its_own_number_of_heads(
    tmp_path: Path, width: int, heads: int
) -> None:
    weights = save(make_published_state(width), tmp_path)
    wrong = VideoTransformer(width=width, heads=heads // 2 or 1, weights=weights)
    if wrong.heads != heads:
        with pytest.raises(CheckpointError, match=rf"heads: got \d+, expected {heads}; set heads"):
            wrong.check_weights()
    with pytest.raises(CheckpointError, match="is missing"):  # heads match
        VideoTransformer(width=width, heads=heads, weights=weights).check_weights()


def test_the_sizes_of_a_vit_of_torchvision_are_checked_without_download(
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
    assert "depth: got 13, expected at most 12" in refusal("vit_b_16", base._replace(depth=13))
    with pytest.raises(CheckpointError, match="heads: got 3, expected 12"):
        read_vit("vit_b_16", base._replace(heads=3))
