"""Operations on fields: what the geometry says, and slow oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import motion

SIDES = st.integers(1, 12)


@st.composite
def fields(draw: st.DrawFn, *, lead: bool = True) -> NDArray[np.float32]:
    """Any `(..., 2, H, W)` of ordinary speeds."""
    batch = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)) if lead else ()
    shape = (*batch, 2, draw(SIDES), draw(SIDES))
    elements = st.floats(-50, 50, width=32)
    drawn: NDArray[np.float32] = draw(hnp.arrays(np.float32, shape, elements=elements))
    return drawn


def smooth(rows: int, columns: int) -> NDArray[np.float32]:
    """A field that changes by at most 0.05 px a pixel."""
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
def test_flips_and_transposes_move_each_vector_as_the_picture_moves(
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
def test_a_field_of_its_own_size_is_not_changed(vectors: NDArray[np.float32]) -> None:
    _, rows, columns = vectors.shape
    resized = motion.resize_field(vectors, (rows, columns))
    np.testing.assert_array_equal(resized, vectors)
    assert not np.shares_memory(resized, vectors)


@given(fields(lead=False), st.integers(1, 4), st.integers(1, 4))
def test_shrinking_by_a_whole_factor_averages_every_vector(
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
def test_a_smooth_field_survives_resizing_there_and_back(
    rows: int, columns: int, new_rows: int, new_columns: int
) -> None:
    vectors = smooth(rows, columns)
    back = motion.resize_field(
        motion.resize_field(vectors, (new_rows, new_columns)), (rows, columns)
    )
    # half size at the least: values move by half a coarse pixel (1 px) at the borders, where the
    # field changes by 0.05 px a pixel
    assert np.abs(back - vectors).max() < 0.06


def test_growing_makes_no_vector_larger_than_it_was() -> None:
    vectors = np.zeros((2, 4, 6), np.float32)
    vectors[:, :, 3:] = 10
    grown = motion.resize_field(vectors, (8, 12)) / 2
    assert grown.min() == 0
    assert grown.max() == 10


def test_growing_one_axis_while_the_other_shrinks_does_each_as_alone() -> None:
    vectors = smooth(24, 10)
    narrow = motion.resize_field(vectors, (8, 10))
    np.testing.assert_allclose(
        motion.resize_field(vectors, (8, 25)),
        motion.resize_field(narrow, (8, 25)),
        atol=1e-6,  # float32 products in another order
    )


@pytest.mark.parametrize(("size", "axis"), [((0, 3), "rows"), ((3, 0), "columns")])
def test_sizes_below_one_are_refused_on_each_axis(size: tuple[int, int], axis: str) -> None:
    with pytest.raises(ShapeError, match=f"size: got 0 {axis}"):
        motion.resize_field(np.zeros((2, 4, 4), np.float32), size)


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (4, 4, 2), (2, 0, 4), (2, 4, 0)])
def test_what_is_no_field_is_refused_everywhere(shape: tuple[int, ...]) -> None:
    wrong = np.zeros(shape, np.float32)
    image, field = np.zeros((4, 4), np.uint8), np.zeros((2, 4, 4), np.float32)
    for operation in (
        lambda: motion.flip(wrong),
        lambda: motion.transpose(wrong),
        lambda: motion.resize_field(wrong, (2, 2)),
        lambda: motion.warp(image, wrong),
        lambda: motion.consistency(wrong, field),
        lambda: motion.consistency(field, wrong),
    ):
        with pytest.raises(ShapeError, match="got shape"):
            operation()


def test_choices_are_checked() -> None:
    field = np.zeros((2, 4, 4), np.float32)
    with pytest.raises(ParameterError, match="axis: got 'z', expected one of: x, y"):
        motion.flip(field, axis="z")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="Did you mean 'bilinear'"):
        motion.warp(field[0], field, interpolation="bilinaer")  # type: ignore[arg-type]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@given(image=hnp.arrays(st.sampled_from([np.uint8, np.float32]), st.tuples(SIDES, SIDES, SIDES)))
def test_warping_by_no_motion_changes_nothing(
    image: NDArray[Any], interpolation: motion.Interpolation
) -> None:
    image = np.nan_to_num(image, nan=0, posinf=1, neginf=-1).clip(-1e6, 1e6).astype(image.dtype)
    still = np.zeros((2, *image.shape[:2]), np.float32)
    for picture in (image, image[..., 0]):
        warped, valid = motion.warp(picture, still, interpolation=interpolation)
        np.testing.assert_array_equal(warped, picture)
        assert warped.dtype == picture.dtype
        assert valid.all()


@given(fields(lead=False), st.integers(0, 99))
def test_warping_fetches_what_a_slow_interpolation_finds(
    vectors: NDArray[np.float32], seed: int
) -> None:
    vectors = vectors / np.float32(8)
    _, rows, columns = vectors.shape
    image = np.random.default_rng(seed).random((rows, columns)).astype(np.float32)
    warped, valid = motion.warp(image, vectors)
    for y, x in np.ndindex(rows, columns):
        to_x, to_y = np.float32(x) + vectors[0, y, x], np.float32(y) + vectors[1, y, x]
        assert valid[y, x] == (0 <= to_x <= columns - 1 and 0 <= to_y <= rows - 1)
        expected = 0.0
        for j, i in np.ndindex(rows, columns) if valid[y, x] else ():
            weight = max(0, 1 - abs(to_x - i)) * max(0, 1 - abs(to_y - j))
            expected += weight * image[j, i]
        assert warped[y, x] == pytest.approx(expected, abs=1e-5)  # float32 sums


def test_bicubic_warping_is_exact_on_quadratics_inside() -> None:
    y, x = np.mgrid[:12, :14].astype(np.float32)
    image = 0.5 * x * x - 0.3 * x * y + 0.2 * y * y + x - 2 * y + 3
    vectors = np.full((2, 12, 14), 0.37, np.float32)
    warped, valid = motion.warp(image, vectors, interpolation="bicubic")
    to_x, to_y = x + 0.37, y + 0.37
    expected = 0.5 * to_x**2 - 0.3 * to_x * to_y + 0.2 * to_y**2 + to_x - 2 * to_y + 3
    inside = (slice(1, -3), slice(1, -3))
    np.testing.assert_allclose(warped[inside], expected[inside], atol=2e-4)  # float32 of 100
    assert not valid[-1].any()
    assert not valid[:, -1].any()
    assert valid[:-1, :-1].all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_second_frame_warped_by_the_truth_is_the_first(
    interpolation: motion.Interpolation,
) -> None:
    first, second, truth = synthetic.rotation(degrees=4, size=(96, 128), seed=3)
    warped, valid = motion.warp(second[0], truth[0], interpolation=interpolation)
    error = np.abs(warped.astype(float) - first[0])[valid].mean()
    unmoved = np.abs(second[0].astype(float) - first[0])[valid].mean()
    # 1.5 levels: rounding both frames costs 0.5 on average, the rest is interpolation
    assert error < 1.5
    assert unmoved > 10 * error
    assert valid.mean() > 0.9


def test_what_is_not_known_or_leaves_the_frame_is_not_valid_and_zero() -> None:
    image = np.full((3, 4, 2), 200, np.uint8)
    vectors = np.zeros((2, 3, 4), np.float32)
    vectors[0, 0, 0] = np.nan
    vectors[1, 0, 1] = np.inf
    vectors[0, 0, 2] = 1.5
    vectors[1, 0, 3] = -0.01
    warped, valid = motion.warp(image, vectors)
    assert valid.sum() == 8
    assert not valid[0].any()
    assert not warped[0].any()
    assert (warped[1:] == 200).all()


def test_bicubic_overshoot_does_not_wrap_around() -> None:
    image = np.zeros((4, 8), np.uint8)
    image[:, 4:] = 255
    vectors = np.full((2, 4, 8), 0.5, np.float32)
    warped, _ = motion.warp(image, vectors, interpolation="bicubic")
    assert warped[0, 2] == 0  # -16 without clipping
    assert warped[0, 4] == 255  # 271


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5), np.uint8), r"got shape \(4, 5\), expected \(4, 4\)"),
        (np.zeros((5, 4), np.uint8), r"got shape \(5, 4\), expected \(4, 4\)"),
        (np.zeros((1, 4, 4), np.uint8), r"got shape \(1, 4, 4\), expected \(4, 4\)"),
        (np.zeros((4, 4), np.float64), "got float64, expected uint8 or float32"),
    ],
)
def test_images_that_do_not_fit_are_refused(image: NDArray[Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        motion.warp(image, np.zeros((2, 4, 4), np.float32))


def test_a_motion_and_its_reverse_are_consistent_where_they_stay_inside() -> None:
    forward = np.empty((2, 2, 10, 12), np.float32)
    forward[:, 0], forward[:, 1] = 3, -2
    consistent = motion.consistency(forward, -forward)
    expected = np.zeros((2, 10, 12), bool)
    expected[:, 2:, :-3] = True
    np.testing.assert_array_equal(consistent, expected)


def test_a_covered_background_is_not_consistent() -> None:
    # a block at columns 8 to 15 moves 4 right over a still background: 16 to 19 get covered
    forward, backward = np.zeros((2, 2, 8, 32), np.float32)
    forward[0, :, 8:16] = 4
    backward[0, :, 12:20] = -4
    consistent = motion.consistency(forward, backward)
    expected = np.ones((8, 32), bool)
    expected[:, 16:20] = False
    np.testing.assert_array_equal(consistent, expected)


@given(fields(lead=False), st.integers(0, 99))
def test_consistency_is_the_papers_inequality(vectors: NDArray[np.float32], seed: int) -> None:
    forward = vectors / np.float32(10)
    noise = np.random.default_rng(seed).normal(0, 0.5, forward.shape).astype(np.float32)
    backward = noise - forward
    consistent = motion.consistency(forward, backward)
    _, rows, columns = forward.shape
    for y, x in np.ndindex(rows, columns):
        w = forward[:, y, x]
        returned, valid = motion.warp(np.moveaxis(backward, 0, 2), forward)
        back = returned[y, x]
        limit = 0.01 * (w @ w + back @ back) + 0.5
        gap = (w + back) @ (w + back)
        if abs(gap - limit) > 1e-4:  # float32 cannot tell these apart
            assert consistent[y, x] == (valid[y, x] and gap < limit)


def test_fields_of_two_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"backward: got shape \(2, 4, 5\)"):
        motion.consistency(np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 5), np.float32))
