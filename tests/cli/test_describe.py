"""`flowstream describe`: a model layer by layer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowstream.cli import main
from flowstream.cli.text import format_value

SLOW = ["slow_fusion", "--input", "3x20x64x64", "--set", "widths=[12,24]", "--set", "pool=4"]


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, ["describe", *arguments])


def text(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def data(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text(*arguments, "--json"))
    return found


def test_the_table_of_the_notes_as_it_is_printed() -> None:
    rows = [line.split() for line in text(*SLOW, "--set", "norm=false").splitlines()]
    assert rows[0] == ["layer", "operation", "size", "receptive", "field", "parameters", "FLOPs"]
    assert rows[1][:6] == ["maps.0", "conv", "3×3×3,", "3→12", "12×20×64×64", "3×3×3"]
    assert rows[1][6:] == ["984", "159,252,480"]
    assert rows[3] == ["maps.2", "max", "pool", "4×4×4", "12×5×16×16", "6×6×6"]
    assert rows[4][-4:] == ["24×5×16×16", "14×14×14", "7,800", "19,906,560"]
    assert rows[6] == ["average", "global", "average", "pool", "24×1×1×1", "20×64×64"]
    assert rows[8] == ["(all)", "Conv3DNet", "101", "20×64×64"]


def test_the_totals_stand_beneath() -> None:
    last = text(*SLOW, "--set", "norm=false", "--classes", "5").splitlines()[-1]
    assert last == (
        "8,909 parameters, 8,909 of them trainable; 0.179 GFLOPs for a clip of 3×20×64×64"
    )


def test_receptive_fields_can_be_left_out() -> None:
    printed = text(*SLOW, "--no-receptive-field")
    assert "receptive field" not in printed
    assert "12×20×64×64" in printed
    layers = data(*SLOW, "--no-receptive-field")["layers"]
    assert all(layer["receptive_field"] is None for layer in layers)


def test_json_holds_what_the_table_shows() -> None:
    found = data(*SLOW, "--set", "norm=false", "--classes", "5")
    assert found["layers"][2] == {
        "name": "maps.2",
        "operation": "max pool 4×4×4",
        "size": [12, 5, 16, 16],
        "receptive_field": [6, 6, 6],
        "parameters": 0,
        "flops": 0,
    }
    assert (found["model"], found["classes"]) == ("slow_fusion", 5)
    assert found["inputs"] == [[3, 20, 64, 64]]
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert found["flops"] == sum(layer["flops"] for layer in found["layers"])
    assert "training" not in found


def test_the_memory_of_training_is_estimated_on_request() -> None:
    arguments = (*SLOW, "--no-receptive-field", "--train", "--batch", "4", "--optimiser", "adamw")
    memory = data(*arguments)["training"]
    assert memory["batch"] == 4
    assert memory["raw_video"] == 4 * 3 * 20 * 64 * 64
    assert memory["optimiser"] == 2 * memory["gradients"]
    parts = ("clips", "activations", "parameters", "gradients", "optimiser", "temporary")
    assert memory["total"] == sum(memory[part] for part in parts)
    assert memory["temporary"] > 0
    printed = text(*arguments)
    assert "training step with 4 clips, adamw and float32:" in printed
    assert "raw video, one byte per value" in printed
    last = " ".join(printed.splitlines()[-1].split())
    assert last == f"total at the peak, without raw video {format_value('bytes', memory['total'])}"


def test_the_default_input_is_the_clip_of_3d_networks() -> None:
    found = data("slow_fusion", "--set", "widths=[2,3]", "--no-receptive-field")
    assert found["inputs"] == [[3, 16, 112, 112]]
    both = data("two_stream", "--set", "backbone=tiny_cnn", "--set", "pretrained=false")
    assert both["inputs"] == [[3, 1, 112, 112], [2, 16, 112, 112]]


def test_a_model_of_both_streams_takes_the_shape_of_its_flow() -> None:
    options = ("--set", "backbone=tiny_cnn", "--set", "pretrained=false")
    found = data("two_stream", "--input", "5x16x20", *options)
    assert found["inputs"] == [[3, 1, 16, 20], [2, 5, 16, 20]]
    fields = {layer["name"]: layer["receptive_field"] for layer in found["layers"]}
    assert fields["spatial.conv0"] == [1, 3, 3]
    assert fields["temporal.conv0"] == [5, 3, 3]


def test_pretrained_weights_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: pytest.fail("fetched"))
    resnet = ("--set", "backbone=resnet18", "--no-receptive-field")
    found = data("single_frame", "--input", "3x1x64x64", "--classes", "1000", *resnet)
    # torchvision's 11,689,512, less the norms but the first, which partial batch norm fixes
    assert found["parameters"] == 11_689_512 - (9600 - 128)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slow_fusoin"], "unknown model 'slow_fusoin'"),
        (["slow_fusion", "--input", "20x64x64"], "expected CxTxHxW, got 20x64x64"),
        (["two_stream", "--input", "2x5x16x16"], "expected TxHxW of the flow, got"),
        (["slow_fusion", "--input", "3x20x64"], "expected CxTxHxW, got 3x20x64"),
        (["slow_fusion", "--input", "3x0x64x64"], "expected CxTxHxW, such as 3x16x112x112"),
        (["slow_fusion", "--input", "big"], "expected CxTxHxW, such as 3x16x112x112"),
        (["slow_fusion", "--classes", "0"], "0 is not in the range 1<=x<=100000"),
        (["slow_fusion", "--classes", "1" + 18 * "0"], "is not in the range 1<=x<=100000"),
        (["slow_fusion", "--input", "3x16x112x" + 5000 * "9"], "expected CxTxHxW, such as"),
        (["slow_fusion", "--train", "--batch", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["c3d", "--input", "3x16x8x8"], "model 'c3d': got 8 rows, expected at least 16"),
        (["c3d", "--set", "widht=8"], "widht: unknown key"),
        (["c3d", "--set", "width=0"], "width: expected at least 1, got 0"),
        (["single_frame", "--set", "backbone=resnet-18"], "Did you mean 'resnet18'?"),
    ],
)
def test_an_error_of_the_model_is_one_line_and_exit_1(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
