"""What every compression of the table promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import StackError
from flowstream.store import COMPRESSIONS

compressions = pytest.mark.parametrize("name", list(COMPRESSIONS))
contents = st.one_of(
    st.binary(min_size=1, max_size=4000),
    st.builds(lambda value, length: bytes([value]) * length, st.integers(0, 255), st.just(100_000)),
)


@compressions
@given(data=contents)
def test_bytes_come_back_within_the_largest_ratio(name: str, data: bytes) -> None:
    kind = COMPRESSIONS[name]
    packed = kind.compress(data)
    assert kind.decompress(packed, len(data)) == data
    assert len(packed) * kind.max_ratio >= len(data)
    assert len(packed) <= 1.1 * len(data) + 1024


@compressions
@given(data=st.binary(min_size=1, max_size=4000), change=st.integers(-5, 5).filter(bool))
def test_another_length_is_refused(name: str, data: bytes, change: int) -> None:
    kind = COMPRESSIONS[name]
    with pytest.raises(StackError):
        kind.decompress(kind.compress(data), max(0, len(data) + change))


@compressions
@given(data=st.binary(max_size=300), length=st.integers(1, 5000))
def test_any_bytes_give_the_length_or_an_error(name: str, data: bytes, length: int) -> None:
    try:
        found = COMPRESSIONS[name].decompress(data, length)
    except StackError:
        return
    assert len(found) == length
