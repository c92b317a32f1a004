"""Composition, inversion and forward-backward consistency of fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import motion
from flowstream.flow.files import read_flow

SIDES = st.integers(1, 12)
FIELDS = st.tuples(st.just(2), SIDES, SIDES).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=st.floats(-5, 5, width=32))
)


def affine(matrix: list[list[float]], shift: tuple[float, float] = (0, 0)) -> NDArray[np.float32]:
    truth: NDArray[np.float32] = synthetic.affine(matrix=matrix, shift=shift, size=(60, 80))[2][0]
    return truth


def with_unknown(vectors: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the field with NaN where it is not valid."""
    return np.where(valid, vectors, np.nan).astype(np.float32)


@given(FIELDS, st.integers(0, 99))
def test_composition_equals_a_slow_interpolation(first: NDArray[np.float32], seed: int) -> None:
    second = np.random.default_rng(seed).normal(0, 3, first.shape).astype(np.float32)
    composed, valid = motion.compose(first, second)
    _, rows, columns = first.shape
    for y, x in np.ndindex(rows, columns):
        to_x, to_y = np.float32(x) + first[0, y, x], np.float32(y) + first[1, y, x]
        inside = 0 <= to_x <= columns - 1 and 0 <= to_y <= rows - 1
        assert valid[y, x] == inside
        expected = first[:, y, x].astype(float) if inside else np.zeros(2)
        for j, i in np.ndindex(rows, columns) if inside else ():
            weight = max(0, 1 - abs(to_x - i)) * max(0, 1 - abs(to_y - j))
            expected += weight * second[:, j, i]
        np.testing.assert_allclose(composed[:, y, x], expected, atol=1e-5)  # float32


@given(FIELDS)
def test_composition_with_zero_flow_changes_nothing(vectors: NDArray[np.float32]) -> None:
    still = np.zeros_like(vectors)
    composed, valid = motion.compose(still, vectors)
    assert valid.all()
    np.testing.assert_array_equal(composed, vectors)
    composed, valid = motion.compose(vectors, still)
    np.testing.assert_array_equal(composed, np.where(valid, vectors, 0))


def test_affine_motions_compose_to_their_product() -> None:
    one, two = [[1.02, -0.03], [0.04, 0.97]], [[0.98, 0.05], [-0.02, 1.01]]
    composed, valid = motion.compose(affine(one, (2, -1)), affine(two, (-3, 0.5)))
    shift = np.array(two) @ (2, -1) + (-3, 0.5)
    expected = affine((np.array(two) @ one).tolist(), (shift[0], shift[1]))
    assert valid.mean() > 0.8
    # bilinear interpolation is exact on affine fields; float32 of 80
    np.testing.assert_allclose(composed[:, valid], expected[:, valid], atol=1e-4)


def test_vectors_that_leave_the_frame_or_end_at_unknown_ones_are_not_valid() -> None:
    first, second = np.zeros((2, 2, 3, 6), np.float32)
    first[0] = 2
    first[1, 0, 0] = np.nan
    second[1, 2, 4] = np.nan
    composed, valid = motion.compose(first, second)
    expected = np.zeros((3, 6), bool)
    expected[:, :4] = True
    expected[0, 0] = expected[2, 2] = False
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(composed, first[0, 1, 1] * expected * [[[1]], [[0]]])


@pytest.mark.parametrize(
    ("matrix", "shift"),
    [
        ([[1, 0], [0, 1]], (3.3, -2.6)),
        ([[1.2, 0], [0, 1.2]], (0, 0)),
        ([[0.8, 0], [0, 0.8]], (1, 0)),
        ([[0.98, -0.17], [0.17, 0.98]], (0, 4)),
        ([[1.6, 0], [0, 1.5]], (0, 0)),
    ],
)
def test_the_inverse_of_an_affine_motion_is_its_inverse(
    matrix: list[list[float]], shift: tuple[float, float]
) -> None:
    inverse, valid = motion.invert(affine(matrix, shift))
    back = np.linalg.inv(matrix)
    moved = -back @ shift
    expected = affine(back.tolist(), (moved[0], moved[1]))
    # pixels of the second frame whose origin is inside the first frame
    y, x = np.mgrid[:60, :80]
    seen = (x + expected[0] >= 0) & (x + expected[0] <= 79)
    seen &= (y + expected[1] >= 0) & (y + expected[1] <= 59)
    assert (valid == seen).mean() > 0.98  # the outermost ring may differ
    # error at q is at most 0.01; that of the inverse is scaled by the shrinking, at most 1.25
    assert np.abs(inverse - expected)[:, valid & seen].max() < 0.0125 + 1e-4


@given(st.integers(0, 999), st.floats(0.5, 8))
@settings(max_examples=15)
def test_a_smooth_motion_and_its_inverse_compose_to_zero(seed: int, amplitude: float) -> None:
    y, x = np.mgrid[:60, :80] / 12
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    # wavelengths of at least 75 px: slope 0.67 px per pixel on each axis at amplitude 8
    waves = [np.sin(x + phases[0]) + np.sin(y + phases[1]), np.cos(x + phases[2] + 0.5 * y)]
    vectors = (amplitude / 2 * np.stack(waves)).astype(np.float32)
    inverse, valid = motion.invert(vectors)
    for one, other in ((vectors, inverse), (inverse, vectors)):
        one = with_unknown(one, valid) if one is inverse else one
        other = with_unknown(other, valid) if other is inverse else other
        rest, both = motion.compose(one, other)
        assert both.mean() > 0.5
        # 0.01 is the tolerance, stretched by 1 + 0.67 on the way; the rest is the bend of the
        # inverse between its pixels, an eighth of its second derivative (amplitude / 2 / 144,
        # and where it is stretched the cube of that more)
        assert np.abs(rest)[:, both].mean() < 0.01
        assert np.percentile(np.abs(rest)[:, both], 99) < 0.06


def test_uncovered_pixels_have_no_inverse() -> None:
    # a block at columns 8 to 15 moves 4 right: 8 to 11 are uncovered, 16 to 19 covered
    vectors = np.zeros((2, 8, 32), np.float32)
    vectors[0, :, 8:16] = 4
    inverse, valid = motion.invert(vectors)
    expected = np.ones((8, 32), bool)
    expected[:, 8:12] = False
    np.testing.assert_array_equal(valid, expected)
    assert (inverse[0, :, 12:16] == -4).all()
    assert not inverse[:, :, :12].any()
    # covered: the motion of the block or of the background, but no mixture
    assert np.isin(inverse[0, :, 16:20], (0, -4)).all()
    assert not inverse[:, :, 20:].any()


def test_unknown_motion_has_no_inverse_and_invalid_parameters_are_errors() -> None:
    vectors = np.full((2, 6, 6), np.nan, np.float32)
    inverse, valid = motion.invert(vectors)
    assert not valid.any()
    assert not inverse.any()
    vectors[:, 2:4, 2:4] = 0
    _, valid = motion.invert(vectors)
    assert valid.sum() == 4
    with pytest.raises(ParameterError, match="tolerance: expected more than 0 pixels, got 0"):
        motion.invert(vectors, tolerance=0)
    with pytest.raises(ParameterError, match=r"iterations: .* got 0"):
        motion.invert(vectors, iterations=0)


def test_middleburys_ground_truth_and_its_inverse_cancel_where_smooth(shared_data: Path) -> None:
    for path in sorted(shared_data.glob("middlebury/*/flow10.flo")):
        truth = read_flow(path)
        inverse, valid = motion.invert(truth)
        rest, both = motion.compose(truth, with_unknown(inverse, valid))
        assert valid.mean() > 0.8
        smooth = both & ~motion.boundaries(truth)
        # covered pixels return along the motion that covers them: at most a few percent
        assert np.median(np.abs(rest)[:, smooth]) < 0.01
        assert (np.abs(rest).max(axis=0)[smooth] < 0.1).mean() > 0.95


def test_a_motion_and_its_reverse_are_consistent_inside_the_frame() -> None:
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


@given(FIELDS, st.integers(0, 99))
def test_consistency_follows_the_papers_inequality(vectors: NDArray[np.float32], seed: int) -> None:
    forward = vectors
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
        if abs(gap - limit) > 1e-4:  # closer values are equal in float32
            assert consistent[y, x] == (valid[y, x] and gap < limit)


def test_fields_of_different_shapes_are_an_error() -> None:
    with pytest.raises(ShapeError, match=r"backward: .* got \(2, 4, 5\)"):
        motion.consistency(np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 5), np.float32))


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (4, 4, 2), (2, 0, 4)])
def test_an_array_that_is_not_a_field_is_an_error(shape: tuple[int, ...]) -> None:
    wrong, field = np.zeros(shape, np.float32), np.zeros((2, 4, 4), np.float32)
    for operation in (
        lambda: motion.compose(wrong, field),
        lambda: motion.compose(field, wrong),
        lambda: motion.invert(wrong),
        lambda: motion.consistency(wrong, field),
        lambda: motion.consistency(field, wrong),
    ):
        with pytest.raises(ShapeError, match="expected shape"):
            operation()
