"""`linear8`: the codes of the older tools, to the bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flowstream.codec.linear8 import Linear8
from flowstream.types import Vectors


def older_tools(value: float, bound: float) -> int:
    """What dense_flow and denseflow call CAST; `round` takes ties to even, as cvRound does."""
    low, high = -bound, bound
    if value > high:
        return 255
    return 0 if value < low else round(255 * (value - low) / (high - low))


@given(
    field=hnp.arrays(np.float32, (2, 3, 5), elements=st.floats(-40, 40, width=32)),
    bound=st.sampled_from([15.0, 20.0, 32.0]),
)
def test_codes_are_those_of_the_older_tools(field: Vectors, bound: float) -> None:
    expected = [older_tools(float(value), bound) for value in field.flat]
    assert Linear8(bound=bound).encode(field).ravel().tolist() == expected


def test_all_of_a_fine_ramp_gets_the_codes_of_the_older_tools() -> None:
    ramp = np.linspace(-21, 21, 42_001, dtype=np.float32)
    codes = Linear8().encode(np.stack([ramp, ramp])[:, None])
    assert codes[0, 0].tolist() == [older_tools(float(value), 20.0) for value in ramp]


def test_stillness_is_half_a_step_off() -> None:
    codec = Linear8()
    still = codec.decode(codec.encode(np.zeros((2, 1, 1), np.float32)))
    # code 128 of 0...255: 128 * 40 / 255 - 20
    np.testing.assert_allclose(still, 20 / 255, rtol=1e-4)


def test_the_two_bounds_are_codes_0_and_255() -> None:
    field = np.array([-20, 20, -400, 400], np.float32).reshape(2, 1, 2)
    assert Linear8().encode(field).ravel().tolist() == [0, 255, 0, 255]
