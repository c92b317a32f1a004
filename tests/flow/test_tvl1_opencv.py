"""OpenCV's TV-L1: every parameter reaches OpenCV; a clear error if it is missing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from flowstream import METHODS, synthetic
from flowstream.errors import MissingDependencyError, ParameterError
from flowstream.flow.tvl1_opencv import TVL1OpenCV

needs_contrib = pytest.mark.skipif(
    not hasattr(cv2, "optflow"), reason="this OpenCV has no contributed modules"
)

FIRST, SECOND, _ = synthetic.rotation(degrees=3, size=(32, 40), seed=1)

# our name → OpenCV's getter, and a value that is not the default
OTHER: dict[str, tuple[str, Any]] = {
    "attachment": ("Lambda", 0.05),
    "tightness": ("Theta", 0.1),
    "time_step": ("Tau", 0.1),
    "levels": ("ScalesNumber", 1),
    "pyramid_factor": ("ScaleStep", 0.5),
    "warps": ("WarpingsNumber", 1),
    "outer_iterations": ("OuterIterations", 2),
    "inner_iterations": ("InnerIterations", 2),
    "tolerance": ("Epsilon", 0.3),
    "illumination": ("Gamma", 0.5),
    "median_filter": ("MedianFiltering", 1),
}


@needs_contrib
def test_the_defaults_are_opencvs() -> None:
    solver = cv2.optflow.DualTVL1OpticalFlow.create()
    method = TVL1OpenCV()
    for parameter, (name, _) in OTHER.items():
        assert getattr(method, parameter) == getattr(solver, f"get{name}")()
    expected = solver.calc(FIRST[0], SECOND[0], np.zeros((32, 40, 2), np.float32))
    np.testing.assert_array_equal(method(FIRST, SECOND)[0], np.moveaxis(expected, 2, 0))


@needs_contrib
@pytest.mark.parametrize("parameter", OTHER)
def test_every_parameter_reaches_opencv(parameter: str) -> None:
    name, value = OTHER[parameter]
    # a tolerance with which no loop ends early
    solver = cv2.optflow.DualTVL1OpticalFlow.create(epsilon=0.001)
    getattr(solver, f"set{name}")(value)
    expected = solver.calc(FIRST[0], SECOND[0], np.zeros((32, 40, 2), np.float32))
    vectors = TVL1OpenCV(**{"tolerance": 0.001, parameter: value})(FIRST, SECOND)
    np.testing.assert_array_equal(vectors[0], np.moveaxis(expected, 2, 0))
    assert not np.array_equal(vectors, TVL1OpenCV(tolerance=0.001)(FIRST, SECOND))


@needs_contrib
@pytest.mark.parametrize("illumination", [0.0, 0.5])
def test_a_batch_equals_its_single_pairs(illumination: float) -> None:
    method = TVL1OpenCV(illumination=illumination)
    batch = method(np.concatenate([SECOND, FIRST]), np.concatenate([FIRST, SECOND]))
    np.testing.assert_array_equal(batch[:1], method(SECOND, FIRST))
    np.testing.assert_array_equal(batch[1:], method(FIRST, SECOND))


@needs_contrib
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("attachment", 0.0),
        ("tightness", -1.0),
        ("time_step", float("nan")),
        ("levels", 0),
        ("pyramid_factor", 1.0),
        ("warps", 0),
        ("outer_iterations", 0),
        ("inner_iterations", 0),
        ("tolerance", -0.1),
        ("illumination", float("inf")),
        ("median_filter", 7),
    ],
)
def test_a_parameter_outside_its_range_is_an_error(parameter: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"'tvl1_opencv': {parameter}: .* got {value}"):
        TVL1OpenCV(**{parameter: value})


def test_without_the_contrib_modules_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(cv2, "optflow", raising=False)
    with pytest.raises(MissingDependencyError, match="pip install opencv-contrib-python"):
        METHODS["tvl1_opencv"]()
