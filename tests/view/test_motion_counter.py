"""The motion of a stack, counted in a histogram, against what NumPy says of all its vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ParameterError, ShapeError
from flowstream.store import open_stack
from flowstream.types import Vectors
from flowstream.view.motion import (
    PERCENTILES,
    MotionCounter,
    as_record,
    count_motion,
    steps_per_second,
)
from tests.small_stack import write_fields

# Speeds are rounded to 1/128 px: off by half of it at most, and by float32's last bits.
ROUNDING = 0.5 / 128 + 1e-5


def random_fields(seed: int, *, scale: float, fields: int = 3) -> Vectors:
    generator = np.random.default_rng(seed)
    return generator.normal(scale=scale, size=(fields, 2, 9, 13)).astype(np.float32)


def counted(*parts: Vectors) -> MotionCounter:
    counter = MotionCounter()
    for part in parts:
        counter.add(part, clipped=0)
    return counter


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100))
def test_percentiles_are_those_of_all_speeds_to_the_histograms_step(
    seed: int, scale: float
) -> None:
    fields = random_fields(seed, scale=scale)
    speeds = np.hypot(fields[:, 0], fields[:, 1])
    found = counted(*fields[:, None]).summary()
    expected = np.percentile(speeds, PERCENTILES, method="inverted_cdf")
    assert list(found.percentiles.values()) == pytest.approx(expected, abs=ROUNDING)
    assert found.max == pytest.approx(speeds.max(), rel=1e-6)  # float32
    assert found.still == (speeds < 0.1).mean()


def test_a_uniform_motion_has_one_speed_and_its_mean_direction() -> None:
    fields = np.zeros((4, 2, 5, 6), np.float32)
    fields[:, 0], fields[:, 1] = 3, -4
    found = counted(fields).summary()
    assert set(found.percentiles.values()) == {5.0}
    assert (found.max, found.mean_dx, found.mean_dy, found.still) == (5.0, 3.0, -4.0, 0.0)
    assert (found.fields, found.vectors) == (4, 4 * 5 * 6)


def test_stillness_is_exactly_zero() -> None:
    found = counted(np.zeros((1, 2, 4, 4), np.float32)).summary()
    assert set(found.percentiles.values()) == {0.0}
    assert (found.max, found.still) == (0.0, 1.0)


def test_speeds_beyond_the_histogram_are_those_of_the_fastest_vector() -> None:
    fields = np.zeros((1, 2, 10, 10), np.float32)
    fields[0, 0, :5] = 5000.0
    found = counted(fields).summary()
    assert found.percentiles == {"p5": 0.0, "p50": 0.0, "p95": 5000.0, "p99": 5000.0}


def test_no_percentile_exceeds_the_fastest_vector() -> None:
    fields = np.full((1, 2, 3, 3), 0.0028, np.float32)  # rounds up to 1/128
    found = counted(fields).summary()
    assert found.percentiles["p99"] <= found.max


@given(seed=st.integers(0, 2**32 - 1))
def test_counters_add_up_to_that_of_all_fields(seed: int) -> None:
    fields = random_fields(seed, scale=5)
    added = counted(fields[:1])
    added += counted(fields[1:])
    one, whole = added.summary(), counted(fields).summary()
    assert one.percentiles == whole.percentiles
    # 1e-6: float64 sums of a few hundred float32 values in another order
    assert one.mean_dx == pytest.approx(whole.mean_dx, abs=1e-6)
    assert (one.max, one.still, one.fields) == (whole.max, whole.still, whole.fields)


def test_speeds_a_second_are_those_a_frame_times_the_rate() -> None:
    summary = counted(np.full((1, 2, 3, 3), 3.0, np.float32)).summary()
    record = as_record(summary, 25.0)
    assert record["pixels_per_second"]["max"] == 25 * record["pixels_per_frame"]["max"]
    assert as_record(summary, None)["pixels_per_second"] is None


def test_empty_and_invalid_fields_are_refused() -> None:
    with pytest.raises(ParameterError, match="no flow vectors"):
        MotionCounter().summary()
    with pytest.raises(ShapeError, match=r"got \(3, 4, 4\)"):
        MotionCounter().add(np.zeros((3, 4, 4), np.float32), clipped=0)


def test_a_stack_is_counted_field_by_field_with_what_its_codec_clipped(tmp_path: Path) -> None:
    fields = np.zeros((2, 2, 4, 5), np.float32)
    fields[0, 0] = 2.0
    fields[1, 1, 0] = 100.0  # one row of four, beyond the bound of 20
    with open_stack(write_fields(tmp_path / "clip.h5", fields, fps=25)) as stack:
        first, second = (counter.summary() for counter in count_motion(stack))
    assert (first.clipped, first.still) == (0.0, 0.0)
    assert (second.clipped, second.still, second.max) == (0.25, 0.75, 20.0)
    # half a step of the codec
    assert first.mean_dx == pytest.approx(2.0, abs=20 / 127 / 2)


def test_the_rate_is_that_of_the_sampled_frames_and_unknown_without_times(tmp_path: Path) -> None:
    fields = np.zeros((4, 2, 4, 5), np.float32)
    # every second frame of a video of 25 a second
    with open_stack(write_fields(tmp_path / "a.h5", fields, fps=25, rate=12.5)) as stack:
        assert steps_per_second(stack) == pytest.approx(12.5, rel=1e-9)
    with open_stack(write_fields(tmp_path / "b.h5", fields, fps=0)) as stack:
        assert steps_per_second(stack) is None
