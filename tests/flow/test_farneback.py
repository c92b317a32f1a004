"""Farnebäck's method: every parameter reaches OpenCV's function."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from flowstream import synthetic
from flowstream.errors import ParameterError
from flowstream.flow.farneback import Farneback

FIRST, SECOND, _ = synthetic.rotation(degrees=4, size=(96, 112), seed=1)

OTHER: dict[str, Any] = {
    "pyramid_factor": 0.7,
    "levels": 0,
    "window": 21,
    "iterations": 1,
    "neighbourhood": 7,
    "smoothing": 1.5,
    "gaussian": True,
}


def test_the_defaults_are_those_of_opencvs_examples() -> None:
    expected = cv2.calcOpticalFlowFarneback(
        FIRST[0], SECOND[0], np.empty((96, 112, 2), np.float32), 0.5, 3, 15, 3, 5, 1.2, 0
    )
    np.testing.assert_array_equal(Farneback()(FIRST, SECOND)[0], np.moveaxis(expected, 2, 0))


@pytest.mark.parametrize("parameter", OTHER)
def test_every_parameter_reaches_opencv(parameter: str) -> None:
    method = Farneback(**{parameter: OTHER[parameter]})
    values = {field: getattr(method, field) for field in OTHER}
    expected = cv2.calcOpticalFlowFarneback(
        FIRST[0],
        SECOND[0],
        np.empty((96, 112, 2), np.float32),
        pyr_scale=values["pyramid_factor"],
        levels=values["levels"],
        winsize=values["window"],
        iterations=values["iterations"],
        poly_n=values["neighbourhood"],
        poly_sigma=values["smoothing"],
        flags=cv2.OPTFLOW_FARNEBACK_GAUSSIAN if values["gaussian"] else 0,
    )
    vectors = method(FIRST, SECOND)
    np.testing.assert_array_equal(vectors[0], np.moveaxis(expected, 2, 0))
    assert not np.array_equal(vectors, Farneback()(FIRST, SECOND))


def test_a_batch_equals_its_single_pairs() -> None:
    first, second = np.concatenate([FIRST, SECOND]), np.concatenate([SECOND, FIRST])
    vectors = Farneback()(first, second)
    np.testing.assert_array_equal(vectors[:1], Farneback()(FIRST, SECOND))
    np.testing.assert_array_equal(vectors[1:], Farneback()(SECOND, FIRST))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("pyramid_factor", 0.0),
        ("pyramid_factor", 1.0),
        ("pyramid_factor", float("nan")),
        ("levels", -1),
        ("window", 2),
        ("iterations", 0),
        ("neighbourhood", 4),
        ("neighbourhood", 1),
        ("neighbourhood", 17),
        ("smoothing", 0.1),
        ("smoothing", float("inf")),
    ],
)
def test_a_parameter_outside_its_range_is_an_error(parameter: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"'farneback': {parameter}: .* got {value}"):
        Farneback(**{parameter: value})


def test_levels_exclude_the_image_and_end_at_32_pixels() -> None:
    fields = [Farneback(levels=levels)(FIRST, SECOND) for levels in range(4)]
    # 96 rows: 48 are allowed, 24 are not
    assert not np.array_equal(fields[0], fields[1])
    np.testing.assert_array_equal(fields[1], fields[2])
    np.testing.assert_array_equal(fields[1], fields[3])


@pytest.mark.parametrize("window", [3, 101])
@pytest.mark.parametrize("neighbourhood", [3, 15])
def test_the_ends_of_the_ranges_give_finite_flow(window: int, neighbourhood: int) -> None:
    method = Farneback(window=window, neighbourhood=neighbourhood, smoothing=0.3, levels=20)
    assert np.isfinite(method(FIRST[:, :16, :17], SECOND[:, :16, :17])).all()
