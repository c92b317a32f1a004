"""Geometric transforms of fields: flip, transpose, rotate, crop and resize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import motion
from flowstream.flow.dis import DIS

SIDES = st.integers(1, 12)


@st.composite
def fields(draw: st.DrawFn, *, lead: bool = True) -> NDArray[np.float32]:
    """Draw a `(..., 2, H, W)` array with typical speeds."""
    batch = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)) if lead else ()
    shape = (*batch, 2, draw(SIDES), draw(SIDES))
    elements = st.floats(-50, 50, width=32)
    drawn: NDArray[np.float32] = draw(hnp.arrays(np.float32, shape, elements=elements))
    return drawn


def smooth(rows: int, columns: int) -> NDArray[np.float32]:
    """Return a field that changes by at most 0.05 px per pixel."""
    y, x = np.mgrid[:rows, :columns]
    dx, dy = 2 * np.sin(x / 60) + y / 80, 3 * np.cos(y / 70) - x / 90
    return np.stack([dx, dy]).astype(np.float32)


@given(fields(), st.sampled_from(["x", "y"]))
def test_a_second_flip_undoes_the_first(vectors: NDArray[np.float32], axis: motion.Axis) -> None:
    kept = vectors.copy()
    twice = motion.flip(motion.flip(vectors, axis=axis), axis=axis)
    np.testing.assert_array_equal(twice, vectors)
    np.testing.assert_array_equal(vectors, kept)


@given(fields())
def test_a_second_transpose_undoes_the_first(vectors: NDArray[np.float32]) -> None:
    turned = motion.transpose(vectors)
    assert turned.shape == (*vectors.shape[:-2], vectors.shape[-1], vectors.shape[-2])
    np.testing.assert_array_equal(motion.transpose(turned), vectors)


@given(fields(lead=False))
def test_flips_and_transposes_move_and_change_each_vector(
    vectors: NDArray[np.float32],
) -> None:
    across, down = motion.flip(vectors, axis="x"), motion.flip(vectors, axis="y")
    turned = motion.transpose(vectors)
    _, rows, columns = vectors.shape
    for y, x in np.ndindex(rows, columns):
        dx, dy = vectors[:, y, x]
        assert tuple(across[:, y, columns - 1 - x]) == (-dx, dy)
        assert tuple(down[:, rows - 1 - y, x]) == (dx, -dy)
        assert tuple(turned[:, x, y]) == (dy, dx)


@given(SIDES, SIDES, st.tuples(SIDES, SIDES), st.floats(-9, 9), st.floats(-9, 9))
def test_a_constant_field_stays_constant_and_scales_with_each_axis(
    rows: int, columns: int, size: tuple[int, int], dx: float, dy: float
) -> None:
    vectors = np.empty((3, 2, rows, columns), np.float32)
    vectors[:, 0], vectors[:, 1] = dx, dy
    resized = motion.resize_field(vectors, size)
    assert resized.shape == (3, 2, *size)
    # float32 rounding of means and products
    np.testing.assert_allclose(resized[:, 0], dx * size[1] / columns, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(resized[:, 1], dy * size[0] / rows, rtol=1e-5, atol=1e-6)


@given(fields(lead=False))
def test_resizing_to_the_same_size_changes_nothing(vectors: NDArray[np.float32]) -> None:
    _, rows, columns = vectors.shape
    resized = motion.resize_field(vectors, (rows, columns))
    np.testing.assert_array_equal(resized, vectors)
    assert not np.shares_memory(resized, vectors)


@given(fields(lead=False), st.integers(1, 4), st.integers(1, 4))
def test_shrinking_by_an_integer_factor_averages_all_vectors(
    vectors: NDArray[np.float32], down: int, across: int
) -> None:
    _, rows, columns = vectors.shape
    large = vectors.repeat(down, axis=1).repeat(across, axis=2)
    shrunk = motion.resize_field(large, (rows, columns))
    scale = np.array([1 / across, 1 / down], np.float32).reshape(2, 1, 1)
    # float32 rounding of sums of 16 values up to 50
    np.testing.assert_allclose(shrunk, vectors * scale, rtol=1e-5, atol=1e-5)


@given(st.integers(60, 90), st.integers(60, 90), st.integers(30, 200), st.integers(30, 200))
@settings(max_examples=20)
def test_a_smooth_field_is_restored_by_resizing_back(
    rows: int, columns: int, new_rows: int, new_columns: int
) -> None:
    vectors = smooth(rows, columns)
    back = motion.resize_field(
        motion.resize_field(vectors, (new_rows, new_columns)), (rows, columns)
    )
    # at half size or more, values move by at most half a coarse pixel (1 px) at the borders, where
    # the field changes by 0.05 px per pixel
    assert np.abs(back - vectors).max() < 0.06


def test_growing_does_not_increase_the_largest_vector() -> None:
    vectors = np.zeros((2, 4, 6), np.float32)
    vectors[:, :, 3:] = 10
    grown = motion.resize_field(vectors, (8, 12)) / 2
    assert grown.min() == 0
    assert grown.max() == 10


def test_growing_one_axis_and_shrinking_the_other_are_independent() -> None:
    vectors = smooth(24, 10)
    narrow = motion.resize_field(vectors, (8, 10))
    np.testing.assert_allclose(
        motion.resize_field(vectors, (8, 25)),
        motion.resize_field(narrow, (8, 25)),
        atol=1e-6,  # float32 products in another order
    )


@pytest.mark.parametrize(("size", "axis"), [((0, 3), "rows"), ((3, 0), "columns")])
def test_a_size_below_one_is_an_error_on_each_axis(size: tuple[int, int], axis: str) -> None:
    with pytest.raises(ShapeError, match=f"size: {axis}: .* got 0"):
        motion.resize_field(np.zeros((2, 4, 4), np.float32), size)


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (4, 4, 2), (2, 0, 4), (2, 4, 0)])
def test_an_array_that_is_not_a_field_is_an_error(shape: tuple[int, ...]) -> None:
    wrong = np.zeros(shape, np.float32)
    for operation in (
        lambda: motion.flip(wrong),
        lambda: motion.transpose(wrong),
        lambda: motion.quarter_turn(wrong),
        lambda: motion.rotate(wrong, degrees=10),
        lambda: motion.crop(wrong, (0, 0), (1, 1)),
        lambda: motion.resize_field(wrong, (2, 2)),
    ):
        with pytest.raises(ShapeError, match="vectors: expected shape"):
            operation()


def test_an_unknown_axis_is_an_error() -> None:
    with pytest.raises(ParameterError, match="axis: expected one of: x, y; got 'z'"):
        motion.flip(np.zeros((2, 4, 4), np.float32), axis="z")  # type: ignore[arg-type]


@given(fields(), st.integers(-9, 9))
def test_quarter_turns_add_and_four_change_nothing(
    vectors: NDArray[np.float32], turns: int
) -> None:
    kept = vectors.copy()
    turned = motion.quarter_turn(vectors, turns=turns)
    one_by_one = vectors
    for _ in range(turns % 4):
        one_by_one = motion.quarter_turn(one_by_one)
    np.testing.assert_array_equal(turned, one_by_one)
    np.testing.assert_array_equal(motion.quarter_turn(turned, turns=-turns), vectors)
    np.testing.assert_array_equal(vectors, kept)
    assert not np.shares_memory(turned, vectors)


@given(fields(lead=False))
def test_a_quarter_turn_maps_right_to_down(vectors: NDArray[np.float32]) -> None:
    _, rows, columns = vectors.shape
    turned = motion.quarter_turn(vectors)
    assert turned.shape == (2, columns, rows)
    for y, x in np.ndindex(rows, columns):
        # clockwise on screen: the top row becomes the right column
        dx, dy = vectors[:, y, x]
        assert tuple(turned[:, x, rows - 1 - y]) == (-dy, dx)


@given(
    hnp.arrays(
        np.float32,
        st.integers(1, 12).map(lambda n: (2, n, n)),
        elements=st.floats(-50, 50, width=32),
    ),
    st.integers(-3, 5),
)
def test_a_rotation_by_quarters_of_a_square_is_exact(
    vectors: NDArray[np.float32], turns: int
) -> None:
    rotated, valid = motion.rotate(vectors, degrees=90 * turns)
    assert valid.all()
    # cosine and sine of 90 degrees are rounded: 1e-16 of positions up to 12 and values up to 50
    np.testing.assert_allclose(rotated, motion.quarter_turn(vectors, turns=turns), atol=1e-4)


@pytest.mark.parametrize("degrees", [20.0, -75.0, 180.0])
def test_rotation_keeps_a_zoom_and_rotates_a_pan(degrees: float) -> None:
    # a zoom about the centre is symmetric under rotation and linear: no interpolation error
    truth = synthetic.zoom(factor=1.3, size=(60, 80))[2][0]
    rotated, valid = motion.rotate(truth, degrees=degrees)
    np.testing.assert_allclose(rotated[:, valid], truth[:, valid], atol=1e-4)  # float32
    assert not rotated[:, ~valid].any()
    pan = np.broadcast_to(np.array([3, 0], np.float32)[:, None, None], (2, 60, 80))
    turned, valid = motion.rotate(pan, degrees=degrees)
    angle = np.radians(degrees)
    expected = 3 * np.array([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(turned[:, valid].T, np.tile(expected, (valid.sum(), 1)), atol=1e-5)
    # the largest disc inside the frame is visible at every angle
    assert valid.mean() > np.pi / 4 * 60 / 80


def test_rotation_excludes_unknown_vectors() -> None:
    vectors = np.ones((2, 9, 9), np.float32)
    vectors[0, 4, 4] = np.nan
    rotated, valid = motion.rotate(vectors, degrees=45)
    assert not valid[4, 4]
    assert np.isfinite(rotated).all()
    with pytest.raises(ParameterError, match=r"degrees: .* got nan"):
        motion.rotate(vectors, degrees=float("nan"))


def test_the_flow_of_rotated_or_flipped_frames_is_the_rotated_or_flipped_flow() -> None:
    first, second, _ = synthetic.layers(size=(96, 128), foreground=(3, 2), seed=4)
    method = DIS()
    plain = method(first, second)
    for name, field in (
        ("turned", motion.quarter_turn(plain)),
        ("mirrored", motion.flip(plain, axis="x")),
        ("upside down", motion.flip(plain, axis="y")),
        ("transposed", motion.transpose(plain)),
    ):
        moved = method(changed(first, name), changed(second, name))
        # 0.1 px: half a step of the 8-bit codec at bound 20; the grid of patches is not symmetric
        assert np.abs(moved - field).mean() < 0.1


def changed(frames: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    views = {
        "turned": np.rot90(frames, -1, axes=(1, 2)),
        "mirrored": frames[:, :, ::-1],
        "upside down": frames[:, ::-1],
        "transposed": frames.swapaxes(1, 2),
    }
    return np.ascontiguousarray(views[name])


@given(fields(), st.data())
def test_a_crop_keeps_its_vectors(vectors: NDArray[np.float32], data: st.DataObject) -> None:
    rows, columns = vectors.shape[-2:]
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    size = data.draw(st.integers(1, rows - top)), data.draw(st.integers(1, columns - left))
    part = motion.crop(vectors, (top, left), size)
    assert part.shape == (*vectors.shape[:-2], *size)
    for y, x in np.ndindex(*size):
        np.testing.assert_array_equal(part[..., y, x], vectors[..., top + y, left + x])
    assert not np.shares_memory(part, vectors)


@pytest.mark.parametrize(
    ("corner", "size", "message"),
    [
        ((0, 0), (5, 4), "rows: .* within 0 to 4, got 0 to 5"),
        ((0, 2), (4, 5), "columns: .* within 0 to 6, got 2 to 7"),
        ((-1, 0), (2, 2), "rows: .* got -1 to 1"),
        ((0, 0), (2, 0), "columns: .* got 0 to 0"),
    ],
)
def test_a_crop_outside_of_the_field_is_an_error(
    corner: tuple[int, int], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        motion.crop(np.zeros((2, 4, 6), np.float32), corner, size)
