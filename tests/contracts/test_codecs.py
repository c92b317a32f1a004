"""What every codec of the table promises."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flowstream.codec import CODECS, Codec
from flowstream.errors import CodecError, ParameterError, ShapeError
from flowstream.plugins import provenance, rebuild
from flowstream.types import Vectors

codecs = pytest.mark.parametrize("name", list(CODECS))
bounded_codecs = pytest.mark.parametrize(
    "name",
    [name for name, kind in CODECS.items() if dataclasses.fields(kind)],  # type: ignore[arg-type]
)
shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6).map(lambda size: (2, *size))


def fields(limit: float) -> st.SearchStrategy[Vectors]:
    elements = st.floats(-limit, limit, width=32)
    return hnp.arrays(np.float32, shapes, elements=elements)


# ±512: beyond every bound of the integer codecs, so that clipping is met too; a float16 holds it
vectors = fields(512.0)
anything = hnp.arrays(
    np.float32, shapes, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
)


def step(codec: Codec, values: Vectors) -> Any:
    """The distance between neighbouring decoded values, at each of `values`."""
    if codec.dtype.kind == "f":
        return np.spacing(np.abs(values).astype(codec.dtype)).astype(np.float64)
    return codec.scale_factor


def slack(codec: Codec) -> float:
    """What float32 arithmetic may add to a decoded value: two roundings at the bound."""
    return float(2 * np.spacing(np.float32(codec.bound))) if codec.dtype.kind != "f" else 0.0


@codecs
@given(field=vectors)
def test_a_vector_within_the_bound_comes_back_within_half_a_step(name: str, field: Vectors) -> None:
    codec = CODECS[name]()
    inside = np.clip(field, -codec.bound, codec.bound).astype(np.float32)
    decoded = codec.decode(codec.encode(inside))
    error = np.abs(decoded.astype(np.float64) - inside)
    assert (error <= step(codec, inside) / 2 + slack(codec)).all()


@codecs
@given(field=anything)
def test_a_vector_beyond_the_bound_becomes_the_bound(name: str, field: Vectors) -> None:
    codec = CODECS[name]()
    clipped = np.clip(field, np.float32(-codec.bound), np.float32(codec.bound))
    assert (codec.encode(field) == codec.encode(clipped)).all()


@codecs
def test_stillness_is_exact_where_the_codec_says_so_and_within_half_a_step_elsewhere(
    name: str,
) -> None:
    codec = CODECS[name]()
    still = codec.decode(codec.encode(np.zeros((2, 4, 5), np.float32)))
    assert (still == still.flat[0]).all()
    if codec.exact_stillness:
        assert (still == 0).all()
    else:
        assert 0 < abs(still.flat[0]) <= codec.scale_factor / 2 + slack(codec)


@codecs
@given(field=vectors)
def test_the_opposite_motion_has_the_opposite_value(name: str, field: Vectors) -> None:
    codec = CODECS[name]()
    there, back = codec.decode(codec.encode(field)), codec.decode(codec.encode(-field))
    if codec.exact_stillness:
        assert (there == -back).all()
    else:
        # without a code for zero, what lies half-way between two codes rounds to the same side
        assert (np.abs(there + back) <= codec.scale_factor + slack(codec)).all()


@codecs
@given(field=vectors)
def test_encoding_decoded_vectors_gives_the_same_codes(name: str, field: Vectors) -> None:
    codec = CODECS[name]()
    codes = codec.encode(field)
    assert (codec.encode(codec.decode(codes)) == codes).all()


@codecs
@given(field=vectors)
def test_decoding_is_cf_linear_packing(name: str, field: Vectors) -> None:
    codec = CODECS[name]()
    codes = codec.encode(field)
    packed = codes.astype(np.float64) * codec.scale_factor + codec.add_offset
    decoded = codec.decode(codes)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, packed, rtol=0, atol=slack(codec))


@codecs
@given(rank=hnp.arrays(np.float32, (2, 1, 40), elements=st.floats(-600, 600, width=32)))
def test_codes_keep_the_order_of_vectors(name: str, rank: Vectors) -> None:
    codec = CODECS[name]()
    codes = codec.encode(np.sort(rank, axis=-1)).astype(np.float64)
    assert (np.diff(codes, axis=-1) >= 0).all()


@codecs
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_flow_that_is_not_finite_is_refused_with_its_count(name: str, value: float) -> None:
    field = np.zeros((3, 2, 4, 5), np.float32)
    field[1, 0, 2, 3] = field[2, 1, 0, 0] = value
    with pytest.raises(CodecError, match=r"2 of 120 flow values are not finite"):
        CODECS[name]().encode(field)


@codecs
def test_double_precision_is_taken_as_far_as_float32_goes(name: str) -> None:
    codec = CODECS[name]()
    field: Any = np.linspace(-30, 30, 40).reshape(2, 4, 5)
    assert (codec.encode(field) == codec.encode(field.astype(np.float32))).all()
    with pytest.raises(CodecError, match="1 of 40 flow values are not finite"):
        codec.encode(np.where(field == field[1, 2, 3], 1e300, field))


@codecs
def test_vectors_at_the_bound_are_counted_once_each(name: str) -> None:
    codec = CODECS[name]()
    field = np.zeros((2, 2, 3, 4), np.float32)
    field[0, 0, 1, 2] = codec.bound
    field[0, 1, 0, 0] = -codec.bound
    field[1, :, 2, 3] = codec.bound
    codes = codec.encode(field)
    assert codec.at_bound(codes) == 3
    assert codec.at_bound(codes[0]) == 2
    assert codec.at_bound(codec.encode(field * np.float32(0.9))) == 0


@codecs
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (2, 3, 4, 5)])
def test_arrays_that_are_not_fields_are_refused(name: str, shape: tuple[int, ...]) -> None:
    codec = CODECS[name]()
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 2, H, W\)"):
        codec.encode(np.zeros(shape, np.float32))
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 2, H, W\)"):
        codec.at_bound(np.zeros(shape, codec.dtype))


@codecs
def test_codes_of_another_type_are_refused(name: str) -> None:
    codec = CODECS[name]()
    with pytest.raises(CodecError, match=f"expected {codec.dtype}"):
        codec.decode(np.zeros((2, 4, 5), np.int64))


@codecs
def test_encoding_and_decoding_leave_their_input_alone(name: str) -> None:
    codec = CODECS[name]()
    field = np.linspace(-30, 30, 40, dtype=np.float32).reshape(2, 4, 5)
    before = field.copy()
    codes = codec.encode(field)
    assert not np.shares_memory(codes, field)
    kept = codes.copy()
    decoded = codec.decode(codes)
    assert not np.shares_memory(decoded, codes)
    assert (field == before).all()
    assert (codes == kept).all()


@codecs
def test_a_view_of_a_larger_array_encodes_and_decodes_like_its_copy(name: str) -> None:
    codec = CODECS[name]()
    whole = np.linspace(-30, 30, 2 * 8 * 10, dtype=np.float32).reshape(2, 8, 10)
    part = whole[:, ::2, 1::3]
    assert (codec.encode(part) == codec.encode(part.copy())).all()
    codes = codec.encode(whole)[:, ::2, 1::3]
    assert (codec.decode(codes) == codec.decode(codes.copy())).all()


@codecs
def test_a_codec_is_made_again_from_its_provenance(name: str) -> None:
    codec = CODECS[name]()
    assert codec.name == name
    assert rebuild(CODECS, provenance(codec)) == codec


@bounded_codecs
@pytest.mark.parametrize("bound", [0, -1.0, float("nan"), float("inf"), 1e9, "20", True, None])
def test_an_invalid_bound_is_refused(name: str, bound: Any) -> None:
    kind: Any = CODECS[name]
    with pytest.raises(ParameterError, match="expected pixels from"):
        kind(bound=bound)


@bounded_codecs
@given(bound=st.floats(1 / 64, 500.0), field=vectors)
def test_any_bound_keeps_the_round_trip(name: str, bound: float, field: Vectors) -> None:
    kind: Any = CODECS[name]
    codec: Codec = kind(bound=bound)
    inside = np.clip(field, np.float32(-bound), np.float32(bound))
    error = np.abs(codec.decode(codec.encode(inside)).astype(np.float64) - inside)
    assert (error <= codec.scale_factor / 2 + slack(codec)).all()
