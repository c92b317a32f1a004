"""Numbers outside their range are refused with the name, the range and the value."""

from __future__ import annotations

import math

import pytest

from flowstream.errors import ParameterError
from flowstream.ranges import check_at_least, check_between, check_positive


def test_numbers_inside_their_range_pass() -> None:
    check_at_least("jobs", 1, 1)
    check_between("quality", 1, (1, 100))
    check_between("quality", 100, (1, 100))
    check_positive("fps", 0.5)


@pytest.mark.parametrize("value", [0, -3, math.nan])
def test_a_number_below_its_least_is_refused(value: float) -> None:
    with pytest.raises(ParameterError, match=rf"jobs: expected at least 1, got {value}"):
        check_at_least("jobs", value, 1)


@pytest.mark.parametrize("value", [0, 101, math.nan])
def test_a_number_outside_its_bounds_is_refused(value: float) -> None:
    with pytest.raises(ParameterError, match=rf"quality: expected 1 to 100, got {value}"):
        check_between("quality", value, (1, 100))


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_number_that_is_not_positive_is_refused(value: float) -> None:
    with pytest.raises(ParameterError, match=rf"fps: expected a positive number, got {value}"):
        check_positive("fps", value)
