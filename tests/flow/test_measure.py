"""Error measures of a field, each compared with a plain loop over pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream import read_flow
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import measure

Field = NDArray[np.float32]


@st.composite
def compared(draw: st.DrawFn) -> tuple[Field, Field]:
    """Draw an estimate and a ground truth with some unknown vectors."""
    shape = (2, draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    speeds = st.floats(-100, 100, width=32)
    estimate: Field = draw(hnp.arrays(np.float32, shape, elements=speeds))
    truth: Field = draw(hnp.arrays(np.float32, shape, elements=speeds))
    # half of the vectors are nearly correct, as in real estimates
    near = draw(hnp.arrays(bool, shape[1:]))
    estimate[:, near] = truth[:, near] * np.float32(1.04) + np.float32(0.01)
    unknown = draw(hnp.arrays(bool, shape[1:]))
    unknown.flat[0] = False
    truth[draw(st.sampled_from([0, 1])), unknown] = draw(
        st.sampled_from([np.nan, np.inf, -np.inf, 1e9, -1e9, 1.6666e9])
    )
    return estimate, truth


def pairs(estimate: Field, truth: Field) -> Iterator[tuple[float, float, float, float]]:
    """Yield (u, v, true u, true v) of each known pixel."""
    _, rows, columns = truth.shape
    for y in range(rows):
        for x in range(columns):
            true_u, true_v = (float(value) for value in truth[:, y, x])
            if abs(true_u) < 1e9 and abs(true_v) < 1e9:
                yield float(estimate[0, y, x]), float(estimate[1, y, x]), true_u, true_v


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@given(compared())
def test_end_point_error_is_the_length_of_the_difference(fields: tuple[Field, Field]) -> None:
    expected = [math.hypot(u - a, v - b) for u, v, a, b in pairs(*fields)]
    errors = measure.end_point_error(*fields)
    assert errors.shape == fields[0].shape[1:]
    assert errors.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(errors), ~measure.known(fields[1]))
    # the map is float32
    assert errors[~np.isnan(errors)].tolist() == pytest.approx(expected, rel=1e-6)
    assert measure.average_end_point_error(*fields) == pytest.approx(mean(expected))


@given(compared())
def test_angular_error_is_barrons_angle_of_space_time_directions(
    fields: tuple[Field, Field],
) -> None:
    angles = []
    for u, v, a, b in pairs(*fields):
        cosine = (u * a + v * b + 1) / math.sqrt((u * u + v * v + 1) * (a * a + b * b + 1))
        angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    # the paper's arc cosine loses half of the digits near 0 degrees
    assert measure.average_angular_error(*fields) == pytest.approx(mean(angles), abs=1e-5)


def test_angular_error_of_known_angles() -> None:
    truth = np.zeros((2, 1, 3), np.float32)
    estimate = np.zeros((2, 1, 3), np.float32)
    estimate[0, 0] = [1, math.sqrt(3), 1e-4]
    # atan of the speed: 45, 60 and 0.0057 degrees
    expected = (45 + 60 + math.degrees(1e-4)) / 3
    assert measure.average_angular_error(estimate, truth) == pytest.approx(expected, rel=1e-6)


@given(compared())
def test_outliers_exceed_three_pixels_and_five_percent(fields: tuple[Field, Field]) -> None:
    counted = []
    for u, v, a, b in pairs(*fields):
        error = math.hypot(u - a, v - b)
        counted.append(100.0 if error > 3 and error > 0.05 * math.hypot(a, b) else 0.0)
    assert measure.fl_all(*fields) == pytest.approx(mean(counted))


def test_an_outlier_exceeds_both_limits() -> None:
    truth = np.zeros((2, 1, 4), np.float32)
    truth[0, 0] = [0, 0, 100, 100]
    estimate = truth.copy()
    estimate[0, 0] += [3, 3.1, 4.9, 5.1]  # at 3 px, above it, below 5 %, above both
    assert measure.fl_all(estimate, truth) == 50


def test_measures_of_a_batch_use_all_of_its_known_pixels() -> None:
    truth = np.zeros((3, 2, 2, 2), np.float32)
    truth[0, :, 0, 0] = np.nan
    estimate = np.zeros_like(truth)
    estimate[1, 0] = 11
    errors = measure.end_point_error(estimate, truth)
    assert errors.shape == (3, 2, 2)
    assert measure.average_end_point_error(estimate, truth) == pytest.approx(44 / 11)
    assert measure.fl_all(estimate, truth) == pytest.approx(400 / 11)


MEASURES: list[Callable[[Field, Field], object]] = [
    measure.end_point_error,
    measure.average_end_point_error,
    measure.average_angular_error,
    measure.fl_all,
]


@pytest.mark.parametrize("of", MEASURES)
def test_fields_that_cannot_be_compared_are_an_error(of: Callable[[Field, Field], object]) -> None:
    truth = np.zeros((2, 3, 4), np.float32)
    for axis in range(3):
        shape = list(truth.shape)
        shape[axis] += 1
        with pytest.raises(ShapeError, match=r"estimate: expected shape \(2, 3, 4\).* got"):
            of(np.zeros(shape, np.float32), truth)
    with pytest.raises(ShapeError, match=r"truth: expected shape .*, got \(3, 4\)"):
        of(truth[0], truth[0])
    for value in (np.nan, np.inf):
        estimate = truth.copy()
        estimate[0, 1, 2] = value
        with pytest.raises(ParameterError, match=r"estimate: .* got 1 of 24"):
            of(estimate, truth)
    with pytest.raises(ParameterError, match=r"truth: .* got 12 unknown vectors"):
        of(truth, np.full_like(truth, np.nan))


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 100, width=32)))
def test_percentiles_are_interpolated_between_the_nearest_ranks(
    values: NDArray[np.float32],
) -> None:
    ranked = sorted(values.tolist())
    expected = {}
    for percent in (0, 12.5, 50, 99, 100):
        rank = percent / 100 * (len(ranked) - 1)
        low, high = ranked[math.floor(rank)], ranked[math.ceil(rank)]
        expected[percent] = low + (rank - math.floor(rank)) * (high - low)
    holes = np.concatenate([values, np.full(5, np.nan, np.float32)])
    # float32 interpolation
    assert measure.percentiles(holes, at=tuple(expected)) == pytest.approx(expected, rel=1e-5)


def test_percentiles_of_no_value_or_outside_0_to_100_are_an_error() -> None:
    with pytest.raises(ParameterError, match="got 2 unknown values"):
        measure.percentiles(np.full(2, np.nan))
    with pytest.raises(ParameterError, match="percentile: expected 0 to 100, got 101"):
        measure.percentiles(np.zeros(2), at=(50, 101))


def test_the_unknown_pixels_of_the_benchmarks_are_found(shared_data: Path) -> None:
    venus = read_flow(shared_data / "middlebury" / "Venus" / "flow10.flo")
    kitti = shared_data / "kitti2015"
    seen, all_ = (read_flow(kitti / f"kitti_{name}_000010_10.png") for name in ("noc", "occ"))
    assert 0.9 < measure.known(venus).mean() <= 1
    # KITTI's laser covers the lower part; noc excludes pixels that leave the frame
    assert 0.1 < measure.known(seen).mean() < measure.known(all_).mean() < 0.3
    assert not (measure.known(seen) & ~measure.known(all_)).any()
    both = np.where(measure.known(seen), all_, np.nan)
    assert measure.average_end_point_error(np.nan_to_num(seen), both) == 0
