"""Limits of the description of a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from flowstream.errors import ParameterError, ShapeError
from flowstream.models import MODELS
from flowstream.models.inspect import describe as describing
from flowstream.models.inspect.bounds import refuse_costly, refuse_huge_tensors
from flowstream.models.inspect.describe import describe
from flowstream.models.inspect.receptive_field import receptive_fields
from flowstream.models.model import ClipShape

SMALL: dict[str, dict[str, Any]] = {
    "slow_fusion": {"widths": (4, 6)},
    "c3d": {"width": 4, "features": 8},
    "two_stream": {"backbone": "tiny_cnn", "pretrained": False},
    "video_transformer": {"patch": 8, "width": 8, "depth": 2, "heads": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_receptive_fields_need_at_most_the_estimated_flops(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[name](**SMALL[name])
    clip = ClipShape(2, 6, 24, 40)
    estimated: list[float] = []
    monkeypatch.setattr(describing, "MAX_FLOPS", 0)  # so that make_probe_shapes are traced at all
    monkeypatch.setattr(describing, "refuse_costly", lambda flops, memory: estimated.append(flops))
    described = describe(model, clip, 3)
    assert described.layers[0].receptive_field is not None
    spent = 0

    def count(*arguments: Any, **options: Any) -> Any:
        nonlocal spent
        with FlopCounterMode(display=False) as counter:
            fields = receptive_fields(*arguments, **options)
        spent = counter.get_total_flops()
        return fields

    monkeypatch.setattr(describing, "receptive_fields", count)
    assert describe(model, clip, 3) == described
    # parts whose result is known are not run again; that saves up to 95 % in small clips
    assert estimated[-1] / 20 < spent <= estimated[-1]
    assert estimated[-1] < described.flops * sum((6, 24, 40, 1))


def test_costs_above_the_limits_are_refused_with_a_way_out() -> None:
    refuse_costly(2e13, 2**32)
    with pytest.raises(ParameterError, match=r"need 6\.0e\+13 FLOPs.*--no-receptive-field"):
        refuse_costly(6e13, 0)
    with pytest.raises(ParameterError, match=r"need 1\.0e\+10 bytes; expected at most 4\.3e\+09"):
        refuse_costly(0, 1e10)


@pytest.mark.parametrize("size", [(2**62, 4), (10**30,), (2**63,)])
def test_sizes_that_torch_cannot_represent_are_parameter_errors(size: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="too large"), refuse_huge_tensors():
        torch.empty(size, device="meta")


def test_other_errors_do_not_change() -> None:
    for error in (ShapeError("overflow"), RuntimeError("a bug"), ValueError("a bug")):
        with pytest.raises(type(error), match=str(error)), refuse_huge_tensors():
            raise error


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((1001, 1, 1, 1), "got 1001 channels, expected 1 to 1000"),
        ((3, 10_001, 1, 1), "got 10001 frames, expected 1 to 10000"),
        ((3, 1, 65_536, 1), "got 65536 rows, expected 1 to 65535"),
        ((3, 1, 1, 65_536), "got 65536 columns, expected 1 to 65535"),
    ],
)
def test_clips_are_limited_to_the_size_of_videos(
    lengths: tuple[int, int, int, int], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        ClipShape(*lengths)
