"""Backbones of the papers, of timm, and weights from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flowstream.errors import CheckpointError, UnknownNameError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.backbones.weight_files import load_file
from flowstream.models.layers.stem import FLOW_DEVIATION, spread_weights


def test_bn_inception_has_the_published_number_of_parameters() -> None:
    network = BACKBONES["bn_inception"]("bn_inception").build(False)
    assert sum(value.numel() for value in network.parameters()) == 11_295_240


def test_cnn_m_has_6x6_maps_at_224_and_2048_features() -> None:
    network = BACKBONES["cnn_m_2048"]("cnn_m_2048").build(False)
    with torch.no_grad():
        assert network.get_submodule("0")(torch.zeros(1, 3, 224, 224)).shape == (1, 512, 6, 6)
    assert network.get_submodule("3.6").in_features == 2048


@pytest.mark.parametrize(
    ("name", "millions"), [("efficientnet_lite1", 5.42), ("efficientnet_lite2", 6.09)]
)
def test_larger_efficientnets_have_weights_in_their_wheels(name: str, millions: float) -> None:
    network = BACKBONES[name](name).build(True)
    parameters = sum(value.numel() for value in network.parameters())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:convnext_atto"])
def test_networks_of_timm_become_temporal_streams(name: str) -> None:
    pytest.importorskip("timm")
    options = {"backbone": name, "pretrained": False}
    model = build_model("early_fusion", channels=2, frames=5, size=64, classes=3, **options)
    assert model(torch.randn(2, 2, 5, 64, 64)).shape == (2, 3)


def test_an_unknown_network_of_timm_is_refused_with_the_nearest_name() -> None:
    pytest.importorskip("timm")
    with pytest.raises(UnknownNameError, match="Did you mean"):
        BACKBONES["timm:resnot10t"]("timm:resnot10t").build(False)


def test_a_network_of_the_hub_is_read_from_a_directory(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    pytest.importorskip("safetensors")
    source = timm.create_model("resnet10t", num_classes=7)
    timm.models.save_for_hf(source, tmp_path / "mine", model_config={"num_classes": 7})
    name = f"hf-hub:{tmp_path / 'mine'}"
    loaded = BACKBONES[name](name).build(True)
    weights = source.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in loaded.state_dict().items())
    (tmp_path / "mine" / "config.json").unlink()
    with pytest.raises(CheckpointError, match="configuration"):
        BACKBONES[name](name).build(True)


def test_weights_of_a_file_are_loaded_and_checked(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = BACKBONES["small_cnn"]("small_cnn").build(False)
    path = str(tmp_path / "mine.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, path)
    loaded = BACKBONES["small_cnn"]("small_cnn").build(path)
    assert torch.equal(loaded.state_dict()["conv1.weight"], source.state_dict()["conv1.weight"])
    with pytest.raises(CheckpointError, match=r"mine\.pth.*expected \(12, 3, 3, 3\)"):
        load_file(BACKBONES["tiny_cnn"]("tiny_cnn").build(False), path)
    (tmp_path / "mine.pth").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        BACKBONES["small_cnn"]("small_cnn").build(path)


@pytest.mark.parametrize("fields", [1, 5, 10])
def test_flow_weights_keep_the_deviation_of_the_response(fields: int) -> None:
    """Equal fields with independent dx and dy respond as strongly as grey RGB of deviation 1."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(1, 3, 1, 1, generator=generator)
    rgb = torch.randn(20_000, 1, generator=generator).expand(-1, 3)
    flow = FLOW_DEVIATION * torch.randn(20_000, 2, generator=generator).repeat(1, fields)
    spread = spread_weights(weight, channels=2, frames=fields, has_derived_scale=True)
    expected = (rgb * weight.flatten()).sum(dim=1).std()
    # 3 %: of 20,000 samples the deviation has a standard error of 0.5 %
    assert (flow * spread.flatten()).sum(dim=1).std() == pytest.approx(float(expected), rel=0.03)


@pytest.mark.parametrize("channels", [1, 4, 7])
def test_any_number_of_channels_of_one_grey_image_responds_as_rgb(channels: int) -> None:
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64)
    spread = spread_weights(weight, channels=channels, frames=2, has_derived_scale=True)
    assert spread.shape == (5, 2 * channels, 3, 3)
    torch.testing.assert_close(spread.sum(dim=1), weight.sum(dim=1))
