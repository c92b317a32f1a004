"""`centred8`: which code means what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flowstream.codec.centred8 import Centred8
from flowstream.errors import CodecError
from flowstream.types import Vectors


def encode_one(codec: Centred8, value: float) -> int:
    return int(codec.encode(np.full((2, 1, 1), value, np.float32)).flat[0])


def test_the_default_bound_is_that_of_two_stream_work() -> None:
    assert Centred8().bound == 20.0


@pytest.mark.parametrize(
    ("value", "code"),
    [(0.0, 128), (-0.0, 128), (20.0, 255), (-20.0, 1), (1e30, 255), (-1e30, 1)],
)
def test_zero_is_code_128_and_the_bounds_are_1_and_255(value: float, code: int) -> None:
    assert encode_one(Centred8(), value) == code


@given(
    field=hnp.arrays(
        np.float32,
        (2, 5, 7),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_code_0_is_never_written_and_opposite_motion_mirrors_about_128(field: Vectors) -> None:
    codes = Centred8().encode(field).astype(int)
    assert codes.min() >= 1
    assert (codes + Centred8().encode(-field) == 256).all()


def test_every_code_decodes_to_its_multiple_of_the_step() -> None:
    codec = Centred8(bound=12.7)
    codes = np.arange(256, dtype=np.uint8).reshape(2, 8, 16)
    expected = (codes.astype(np.float64) - 128) * 0.1
    # one rounding to float32 of values up to 12.8
    np.testing.assert_allclose(codec.decode(codes), expected, rtol=2e-7, atol=0)


def test_a_still_background_that_trembles_keeps_one_code() -> None:
    tremble = np.linspace(-0.07, 0.07, 50, dtype=np.float32).reshape(2, 5, 5)
    assert set(Centred8().encode(tremble).flat) == {128}


@pytest.mark.parametrize("bound", [20.0, 0.3, 1000.0])
def test_the_compiled_loops_for_large_arrays_give_the_same_values(bound: float) -> None:
    codec, rng = Centred8(bound), np.random.default_rng(0)
    vectors = rng.normal(scale=bound / 3, size=(3, 2, 150, 160)).astype(np.float32)
    # halves of a step, where rounding is to even; vectors about the length that counts as motion
    vectors[0] = np.round(vectors[0] / codec.scale_factor * 2) * np.float32(codec.scale_factor / 2)
    vectors[1] = rng.uniform(-0.02, 0.02, vectors[1].shape)
    vectors[2, 0, 0] = [1e30, -1e30, -0.0, 1 / 64] * 40
    assert vectors.size > 2**16
    codes = codec.encode(vectors)
    small = [vectors[:, :, row : row + 10] for row in range(0, 150, 10)]
    assert (codes == np.concatenate([codec.encode(part) for part in small], axis=2)).all()
    decoded = codec.decode(codes.reshape(-1, 150, 160)[:, 3:, 5:])
    apart = np.stack(
        [codec.decode(plane[None, 3:, 5:])[0] for plane in codes.reshape(-1, 150, 160)]
    )
    assert (decoded == apart).all()
    counted = [codec.below_step(part, codec.encode(part)) for part in small]
    assert codec.below_step(vectors, codes) == tuple(map(sum, zip(*counted, strict=True)))
    vectors[1, 1, 7, 7] = np.nan
    with pytest.raises(CodecError, match="1 of"):
        codec.encode(vectors)
