"""Tables of networks: sizes, receptive fields, parameters and operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from flowstream.models import MODELS
from flowstream.models.inspect.describe import Description, Layer, build_on_meta, describe
from flowstream.models.inspect.receptive_field import count_probe_clips
from flowstream.models.model import (
    ClipShape,
    Model,
    VideoClassifier,
)
from flowstream.models.recurrent_conv import RecurrentConv
from flowstream.models.single_frame import SingleFrame
from flowstream.models.video_transformer import VideoTransformer
from tests.tiny_models import tiny_options

CLIP = ClipShape(3, 20, 64, 64)
TINY: dict[str, Any] = {"backbone": "tiny_cnn", "pretrained": False}

# (size, receptive field) of convolution, pool, convolution and global average pool for an input of
# 3x20x64x64, computed by hand.
LATE = [
    ((12, 20, 64, 64), (1, 3, 3)),
    ((12, 20, 16, 16), (1, 6, 6)),
    ((24, 20, 16, 16), (1, 14, 14)),
    ((24, 1, 1, 1), (20, 64, 64)),
]
EARLY = [
    ((12, 64, 64), (20, 3, 3)),
    ((12, 16, 16), (20, 6, 6)),
    ((24, 16, 16), (20, 14, 14)),
    ((24, 1, 1), (20, 64, 64)),
]
SLOW = [
    ((12, 20, 64, 64), (3, 3, 3)),
    ((12, 5, 16, 16), (6, 6, 6)),
    ((24, 5, 16, 16), (14, 14, 14)),
    ((24, 1, 1, 1), (20, 64, 64)),
]


def describe_model(name: str, clip: ClipShape, classes: int = 5, **options: Any) -> Description:
    return describe(MODELS[name](**options), clip, classes)


def find_steps(description: Description) -> list[Layer]:
    """Return the convolutions and pools."""
    kinds = ("conv", "max pool", "global")
    return [layer for layer in description.layers if layer.operation.startswith(kinds)]


@pytest.mark.parametrize(
    ("name", "options", "expected", "operations"),
    [
        (
            "late_fusion_pool",
            TINY,
            LATE,
            ["conv 3×3, 3→12", "max pool 4×4", "conv 3×3, 12→24", "global average pool"],
        ),
        (
            "early_fusion",
            TINY,
            EARLY,
            ["conv 3×3, 60→12", "max pool 4×4", "conv 3×3, 12→24", "global average pool"],
        ),
        (
            "slow_fusion",
            {"widths": (12, 24), "pool": 4, "norm": False},
            SLOW,
            ["conv 3×3×3, 3→12", "max pool 4×4×4", "conv 3×3×3, 12→24", "global average pool"],
        ),
    ],
)
def test_sizes_and_receptive_fields_computed_by_hand(
    name: str,
    options: dict[str, Any],
    expected: list[tuple[tuple[int, ...], tuple[int, int, int]]],
    operations: list[str],
) -> None:
    rows = find_steps(describe_model(name, CLIP, **options))
    assert [(row.size, row.receptive_field) for row in rows] == expected
    assert [row.operation for row in rows] == operations


def test_parameters_and_operations_counted_by_hand() -> None:
    traced = describe_model("early_fusion", CLIP, **TINY)
    first, _, second, _ = find_steps(traced)
    assert first.parameters == (60 * 9 + 1) * 12
    assert second.parameters == (12 * 9 + 1) * 24
    # two per product: positions x outputs x inputs of the window
    assert first.flops == 2 * 64 * 64 * 12 * 60 * 9
    assert second.flops == 2 * 16 * 16 * 24 * 12 * 9
    (last,) = (layer for layer in traced.layers if layer.operation == "linear 24→5")
    assert (last.parameters, last.flops, last.size) == ((24 + 1) * 5, 2 * 24 * 5, (5,))
    assert traced.flops == first.flops + second.flops + last.flops


def test_the_last_row_is_the_whole_network() -> None:
    last = describe_model("late_fusion_pool", CLIP, **TINY).layers[-1]
    assert (last.name, last.size, last.receptive_field) == ("", (5,), (20, 64, 64))


def make_small(name: str) -> tuple[Model, ClipShape]:
    """Return a model that is traced quickly; two keep the default CNN, of images and inflated."""
    model = MODELS[name](**({} if name in ("single_frame", "i3d") else tiny_options(name)))
    frames, rows, columns = model.min_clip
    return model, ClipShape(2, max(4, frames), max(32, rows), max(32, columns))


@pytest.mark.parametrize("name", list(MODELS))
def test_each_parameter_is_counted_once_whatever_the_model(name: str) -> None:
    model, clip = make_small(name)
    traced = describe(model, clip, 7, receptive_field=False)
    network = build_on_meta(model, clip, 7)
    assert traced.parameters == sum(part.numel() for part in network.parameters())
    trained = sum(part.numel() for part in network.parameters() if part.requires_grad)
    assert traced.trained == trained
    assert traced.layers[-1].size == (7,)
    assert all(layer.receptive_field is None for layer in traced.layers)


# One test for each kind of architecture: receptive fields of well-known parts.
def test_a_residual_networks_stem_and_last_maps() -> None:
    rows = {layer.name: layer for layer in describe_model("r3d_18", ClipShape(3, 4, 40, 40)).layers}
    assert rows["network.stem.0"].receptive_field == (3, 7, 7)
    # then 3x3x3 at stride 1, 2, 2: 3 + 2, 7 + 2·2, 7 + 2·2
    assert rows["network.layer1.0.conv1.0"].receptive_field == (4, 11, 11)
    assert rows["network.fc.1"].receptive_field == (4, 40, 40)


def test_attention_divides_time_and_space() -> None:
    model = VideoTransformer(patch=8, width=8, depth=1, heads=2, tubelet=2)
    rows = {row.name: row for row in describe(model, ClipShape(3, 8, 32, 40), 5).layers}
    assert rows["embed"].receptive_field == (2, 8, 8)
    assert rows["embed"].size == (8, 4, 4, 5)
    assert rows["blocks.0.temporal"].receptive_field == (8, 8, 8)
    assert rows["blocks.0.spatial.self_attention"].receptive_field == (8, 32, 40)
    # 4 steps of 21 tokens: queries, keys, values; scores and weighted means; output layer
    tokens, width = 4 * 21, 8
    attention = 2 * tokens * (3 * width * width + 2 * 21 * width + width * width)
    assert rows["blocks.0.spatial.self_attention"].flops == attention


def test_a_recurrent_layer_sees_all_previous_frames_and_is_one_row() -> None:
    model = RecurrentConv(widths=(4,), cell="gru")
    rows = {row.name: row for row in describe(model, ClipShape(3, 5, 24, 24), 5).layers}
    state = rows["layers.0.of_state"]
    assert state.operation == "conv 3×3, 4→12, 5 times"
    # the state before the last frame: four frames, and one more pixel per side and step
    assert state.receptive_field == (4, 2 * 4 + 3, 2 * 4 + 3)
    assert state.flops == 5 * 2 * 24 * 24 * 12 * 4 * 9
    assert rows["average"].receptive_field == (5, 24, 24)


def test_the_receptive_field_of_inflated_convolutions_in_time() -> None:
    traced = describe_model("i3d", ClipShape(3, 8, 32, 32), **TINY)
    first, second = (layer for layer in traced.layers if layer.operation.startswith("conv"))
    assert first.operation == "conv 3×3×3, 3→12"
    assert (first.receptive_field, second.receptive_field) == ((3, 3, 3), (5, 14, 14))


def test_receptive_fields_distinguish_the_two_inputs() -> None:
    rows = {
        row.name: row
        for row in describe_model("two_stream", ClipShape(2, 6, 16, 20), **TINY).layers
    }
    assert rows["spatial.conv0"].receptive_field == (1, 3, 3)
    assert rows["temporal.conv0"].receptive_field == (6, 3, 3)
    assert rows[""].receptive_field == (6, 16, 20)


class DilatedNet(VideoClassifier):
    """Network with dilated filters and a part that does not depend on the clip."""

    def __init__(self, clip: ClipShape, classes: int) -> None:
        super().__init__(clip, classes)
        self.holes = nn.Conv3d(clip.channels, 2, (2, 3, 3), dilation=(3, 2, 4))
        self.constant = nn.Linear(2, classes)
        self.last = nn.Linear(2, classes)
        nn.init.zeros_(self.holes.weight)

    @property
    def head(self) -> nn.Module:
        return self.last

    def score(self, clips: Tensor) -> Tensor:
        maps = torch.relu(self.holes(clips)).amax(dim=(2, 3, 4))
        blind: Tensor = self.constant(torch.ones(len(clips), 2, device=clips.device).to(clips))
        scores: Tensor = self.last(maps)
        return scores + blind


@dataclass(frozen=True)
class Dilated(Model):
    name: ClassVar[str] = "dilated"
    sees_order: ClassVar[bool] = True
    paper: ClassVar[str] = ""

    @property
    def min_clip(self) -> tuple[int, int, int]:
        return (4, 5, 9)

    def build(self, clip: ClipShape, classes: int, *, blank: bool = False) -> VideoClassifier:
        return DilatedNet(clip, classes)


def test_extents_include_holes_and_do_not_depend_on_the_weights() -> None:
    rows = {row.name: row for row in describe(Dilated(), ClipShape(3, 7, 12, 20), 5).layers}
    assert rows["holes"].receptive_field == (4, 5, 9)
    assert rows["holes"].operation == "conv 2×3×3, 3→2, dilation 3×2×4"
    assert rows["constant"].receptive_field == (0, 0, 0)
    assert rows["last"].receptive_field == (7, 12, 20)


@pytest.mark.parametrize(
    "name", ["c3d", "nonlocal", "recurrent_conv", "two_stream", "video_transformer"]
)
def test_clips_of_minimal_size_give_the_receptive_fields_of_whole_clips(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, dict[str, Any]] = {
        "c3d": {"width": 1, "features": 2},
        "nonlocal": {"options": {"widths": (2, 3, 4)}},
        "recurrent_conv": {"widths": (2, 3)},
        "two_stream": TINY,
        "video_transformer": {"patch": 4, "width": 4, "heads": 2, "depth": 1},
    }
    model = MODELS[name](**options.get(name, {}))
    clip = ClipShape(2, 5, 18, 22)
    narrow = describe(model, clip, 3)
    monkeypatch.setattr(type(model), "min_clip", (1, 18, 22))
    assert describe(model, clip, 3) == narrow


def test_progress_adds_up_to_the_number_of_probe_clips() -> None:
    model, clip = MODELS["two_stream"](**TINY), ClipShape(2, 6, 16, 20)
    done: list[int] = []
    describe(model, clip, 3, progress=done.append)
    assert sum(done) == count_probe_clips(model, clip) == 1 + 6 + 16 + 20


def test_describe_does_not_change_the_callers_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    describe_model("slow_fusion", ClipShape(3, 4, 16, 16), widths=(2, 3))
    assert torch.equal(torch.rand(3), expected)


def test_networks_that_need_values_are_described_too() -> None:
    traced = describe(
        SingleFrame(backbone="regnet_y_400mf", pretrained=False),
        ClipShape(3, 1, 64, 64),
        400,
        receptive_field=False,
    )
    # torchvision: 4,344,144 parameters for 1000 classes of 440 features
    assert traced.parameters == 4_344_144 - 600 * (440 + 1)
