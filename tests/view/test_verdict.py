"""Verdicts on flow that is right, and on flow that is wrong in known ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.view.quality import FieldQuality, Quality, measure_field, summarise
from flowstream.view.verdict import judge

SIZE = (48, 64)
FIELDS = 8
Vectors = NDArray[np.float32]


def scene(k: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Vectors]:
    """Return two frames that turn and move, and their true flow."""
    first, second, truth = synthetic.rotation(degrees=6, size=SIZE, seed=k)
    return first[0], second[0], truth[0]


def check(change: Callable[[Vectors, int], Vectors]) -> Quality:
    """Return the quality of changed flow: `change(truth, k)` for field k."""
    fields: list[FieldQuality] = []
    for k in range(FIELDS):
        first, second, truth = scene(k)
        fields.append(measure_field(k, first, second, vectors=change(truth, k)))
    return summarise(fields)


def test_true_flow_is_good() -> None:
    assert judge(check(lambda truth, k: truth)).level == "good"
    # an error of half a pixel is not seen as wrong
    assert judge(check(lambda truth, k: truth + np.float32(0.3))).level == "good"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("reversed", lambda truth, k: -truth),
        ("axes swapped", lambda truth, k: truth[::-1]),
        ("no motion", lambda truth, k: truth * 0),
        ("twice as fast", lambda truth, k: truth * np.float32(2)),
        ("of another clip", lambda truth, k: np.roll(truth[:, ::-1], 20, axis=2)),
        (
            "noise",
            lambda truth, k: np.random.default_rng(k).normal(0, 4, truth.shape).astype(np.float32),
        ),
        ("right in the first fields only", lambda truth, k: truth if k < 3 else -truth),
    ],
)
def test_wrong_flow_is_bad(name: str, change: Callable[[Vectors, int], Vectors]) -> None:
    assert judge(check(change)).level == "bad", name


def test_cuts_are_to_be_checked() -> None:
    quality = check(lambda truth, k: -truth if k == 3 else truth)
    verdict = judge(quality)
    assert quality.useless == 1 / FIELDS
    assert verdict.level == "check"
    assert "12% of the fields" in verdict.reason


@pytest.mark.parametrize(
    ("values", "level", "reason"),
    [
        ({"clipped": 0.2}, "check", "--bound"),
        ({"clipped": 0.4}, "bad", "--bound"),
        ({"consistent": 0.4}, "check", "consistent"),
        ({"consistent": 0.2}, "bad", "consistent"),
        ({"textured": 0.01}, "check", "texture"),
        # frames that differ by noise only do not show whether the flow is right
        ({"error": 2.0, "unmoved": 1.0}, "good", ""),
        ({"error": 0.0, "unmoved": 0.0}, "check", "do not change"),
        ({"error": None, "unmoved": None}, "check", "no frames"),
    ],
)
def test_each_measure_has_its_verdict(
    values: dict[str, float | None], level: str, reason: str
) -> None:
    whole = {
        "error": 1.0, "unmoved": 9.0, "inside": 1.0, "consistent": None, "clipped": 0.0,
        "textured": 0.5,
    }  # fmt: skip
    verdict = judge(Quality(fields=3, worst=(), **{**whole, **values}))  # type: ignore[arg-type]
    assert verdict.level == level
    assert reason in verdict.reason


def test_motion_below_the_codecs_step_is_to_be_checked() -> None:
    quality = check(lambda truth, k: truth)
    assert judge(quality, below_step=0.5).level == "good"
    assert "fixed16" in judge(quality, below_step=0.7).reason
