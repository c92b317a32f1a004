"""Drawing of flow: colours of two independent implementations of the wheel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream.errors import ParameterError
from flowstream.flow import draw

Field = NDArray[np.float32]


def wheel_by_hand() -> list[tuple[int, int, int]]:
    """Return the result of `makecolorwheel` in Baker et al.'s colorcode.cpp."""
    ry, yg, gc, cb, bm, mr = 15, 6, 4, 11, 13, 6
    return (
        [(255, 255 * i // ry, 0) for i in range(ry)]
        + [(255 - 255 * i // yg, 255, 0) for i in range(yg)]
        + [(0, 255, 255 * i // gc) for i in range(gc)]
        + [(0, 255 - 255 * i // cb, 255) for i in range(cb)]
        + [(255 * i // bm, 0, 255) for i in range(bm)]
        + [(255, 0, 255 - 255 * i // mr) for i in range(mr)]
    )


def colour_by_hand(fx: float, fy: float) -> list[float]:
    """Return the result of `computeColor` in the same program, before rounding down."""
    wheel = wheel_by_hand()
    rad = math.sqrt(fx * fx + fy * fy)
    fk = (math.atan2(-fy, -fx) / math.pi + 1.0) / 2.0 * (len(wheel) - 1)
    k0 = int(fk)
    k1 = (k0 + 1) % len(wheel)
    f = fk - k0
    pixel = []
    for band in range(3):
        value = (1 - f) * wheel[k0][band] / 255.0 + f * wheel[k1][band] / 255.0
        value = 1 - rad * (1 - value) if rad <= 1 else value * 0.75
        pixel.append(255.0 * value)
    return pixel


def moving(dx: float, dy: float, rows: int = 2, columns: int = 3) -> Field:
    field = np.empty((2, rows, columns), np.float32)
    field[0], field[1] = dx, dy
    return field


def colour(dx: float, dy: float) -> tuple[int, int, int]:
    red, green, blue = draw.draw_field(moving(dx, dy), max_speed=1.0)[0, 0].tolist()
    return red, green, blue


def test_the_wheel_is_middleburys() -> None:
    wheel = draw.colour_wheel()
    assert wheel.dtype == np.uint8
    assert wheel.tolist() == [list(hue) for hue in wheel_by_hand()]


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.just(2), *[st.integers(1, 5)] * 2),
        elements=st.floats(-9, 9, width=32),
    ),
    st.floats(0.5, 12),
)
def test_every_pixel_has_middleburys_colour(field: Field, max_speed: float) -> None:
    picture = draw.draw_field(field, max_speed=max_speed)
    assert picture.dtype == np.uint8
    assert picture.shape == (*field.shape[1:], 3)
    for y, x in np.ndindex(*field.shape[1:]):
        dx, dy = (float(value) / max_speed for value in field[:, y, x])
        if abs(math.hypot(dx, dy) - 1) > 1e-6:  # at the rim both colours are correct
            expected = colour_by_hand(dx, dy)
            # rounded down; 1e-6 allows for another order of summation
            difference = np.array(expected) - picture[y, x]
            assert (difference > -1e-6).all()
            assert (difference < 1 + 1e-6).all()


def test_directions_have_their_hues() -> None:
    assert colour(0, 0) == (255, 255, 255)
    red, green, blue = colour(1, 0)
    assert red == 255 > 50 > max(green, blue)
    red, green, blue = colour(0, 1)
    assert min(red, green) > 200 > 50 > blue
    red, green, blue = colour(-1, 0)
    assert min(green, blue) > 200 > 50 > red
    red, green, blue = colour(0, -1)
    assert blue == 255 > 150 > red > 50 > green


def test_vectors_faster_than_the_scale_are_darker() -> None:
    assert colour(5, 0) == (191, 0, 0)
    assert colour(1, 0) == (255, 0, 0)


def test_unknown_vectors_are_black_and_do_not_set_the_scale() -> None:
    field = moving(2, 0)
    field[0, 0, 0], field[1, 0, 1], field[0, 0, 2] = np.nan, 1e10, np.inf
    picture = draw.draw_field(field)
    assert not picture[0].any()
    assert (picture[1] == [255, 0, 0]).all()


def test_without_a_scale_the_fastest_vector_has_full_colour() -> None:
    field = moving(0.5, 0)
    field[0, 1, 2] = 4
    np.testing.assert_array_equal(draw.draw_field(field), draw.draw_field(field, max_speed=4.0))
    assert draw.draw_field(field)[1, 2].tolist() == [255, 0, 0]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_static_or_completely_unknown_field_is_drawn(value: float) -> None:
    picture = draw.draw_field(moving(value, value))
    assert (picture == (255 if value == 0 else 0)).all()


@pytest.mark.parametrize("max_speed", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_must_be_above_zero(max_speed: float) -> None:
    with pytest.raises(ParameterError, match="max_speed: expected more than 0"):
        draw.draw_field(moving(1, 1), max_speed=max_speed)


@pytest.mark.parametrize("seed", range(3))
def test_the_colours_equal_torchvisions_within_one_level(seed: int) -> None:
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("torchvision.utils")
    field = np.random.default_rng(seed).normal(scale=4, size=(2, 40, 50)).astype(np.float32)
    field[:, :5] = 0
    theirs = utils.flow_to_image(torch.from_numpy(field)).numpy().transpose(1, 2, 0)
    # one level: their colours are computed in float32 and rounded down
    assert np.abs(draw.draw_field(field).astype(int) - theirs).max() <= 1


def test_hues_are_those_of_full_colour_at_any_speed() -> None:
    field = np.random.default_rng(5).normal(size=(2, 6, 7)).astype(np.float32)
    unit = field / np.hypot(*field)
    shown = draw.draw_field(unit, max_speed=1.000001).astype(int)
    assert np.abs(draw.draw_hues(field).astype(int) - shown).max() <= 1
