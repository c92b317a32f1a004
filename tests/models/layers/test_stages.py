"""Stages of networks: frozen ones, and gradient checkpointing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from flowstream.errors import ParameterError
from flowstream.models import build_model
from flowstream.models.backbones import BACKBONES
from flowstream.models.backbones.image_cnn import ImageCNN
from flowstream.models.inspect.memory import measure_saved_tensors
from flowstream.models.layers.stages import find_stages


def build(backbone: str, **options: Any) -> Any:
    torch.manual_seed(0)
    options = {"backbone": backbone, **options}
    return build_model("early_fusion", channels=2, frames=3, size=64, classes=4, **options)


def test_a_resnet_has_a_stage_for_each_halving() -> None:
    network = BACKBONES["resnet18"]("resnet18").build(False)
    names = {part: name for name, part in network.named_modules()}
    stages = [[names[part] for part in stage] for stage in find_stages(network, channels=3)]
    assert [stage[0] for stage in stages] == [
        "conv1",
        "layer1.0.conv1",
        "layer2.0.conv1",
        "layer3.0.conv1",
        "layer4.0.conv1",
    ]
    assert stages[-1][-1] == "fc"


def test_frozen_stages_are_not_trained() -> None:
    network = build("efficientnet_lite0", frozen_stages=2)
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    everything = {name for name, _ in build("efficientnet_lite0").named_parameters()}
    frozen = everything - trained
    assert "network._conv_stem.weight" in frozen
    assert not any("_blocks.5." in name or "_fc" in name for name in frozen)
    with pytest.raises(ParameterError, match="frozen_stages"):
        type("Model", (ImageCNN,), {"build": None})(pretrained=False, frozen_stages=1)


def train_step(network: Any, clips: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    torch.autograd.backward(network.train()(clips).square().sum())
    return [value.grad for value in network.parameters()]


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0", "bn_inception"])
def test_checkpointing_saves_memory_and_changes_no_gradient_or_statistic(backbone: str) -> None:
    clips = torch.randn(4, 2, 3, 64, 64)
    plain = build(backbone, pretrained=False)
    saving = build(backbone, pretrained=False, checkpointing=True)
    for got, expected in zip(train_step(saving, clips), train_step(plain, clips), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-3)
    for name, value in plain.state_dict().items():
        assert torch.equal(saving.state_dict()[name], value), name
    kept = sum(measure_saved_tensors(saving, [clips]))
    assert kept < 0.75 * sum(measure_saved_tensors(plain, [clips]))
