"""`fixed16`, `float16` and `float32`: their numbers."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.codec.fixed16 import Fixed16
from flowstream.codec.float16 import Float16
from flowstream.codec.float32 import Float32
from flowstream.errors import ParameterError


def test_fixed16_counts_64ths_of_a_pixel() -> None:
    field = np.array([0, 1, -1.5, 1 / 64, -511.984375, 600], np.float32).reshape(2, 1, 3)
    codes = Fixed16().encode(field)
    assert codes.dtype == np.int16
    assert codes.ravel().tolist() == [0, 64, -96, 1, -32767, 32767]


def test_a_smaller_bound_clips_fixed16_and_keeps_its_step() -> None:
    codec = Fixed16(bound=20)
    codes = codec.encode(np.array([19.5, 25.0], np.float32).reshape(2, 1, 1))
    assert codes.ravel().tolist() == [1248, 1280]
    assert codec.at_bound(codes) == 1
    assert codec.scale_factor == 1 / 64


def test_a_bound_beyond_16_bits_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"codec 'fixed16': invalid bound; expected .*, got 512"
    ):
        Fixed16(bound=512)


def test_float16_clips_at_its_largest_number_instead_of_becoming_infinite() -> None:
    codes = Float16().encode(np.array([1e6, -1e6], np.float32).reshape(2, 1, 1))
    assert codes.ravel().tolist() == [65504, -65504]
    assert Float16().at_bound(codes) == 1


def test_float32_keeps_every_bit() -> None:
    field = np.random.default_rng(3).normal(0, 9, (4, 2, 5, 6)).astype(np.float32)
    codec = Float32()
    assert codec.decode(codec.encode(field)).tobytes() == field.tobytes()
