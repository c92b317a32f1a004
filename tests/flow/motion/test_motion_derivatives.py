"""Derivatives of fields, compared with analytic values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ShapeError
from flowstream.flow import motion

SIDES = st.integers(2, 12)
FIELDS = st.tuples(st.just(2), SIDES, SIDES).flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=st.floats(-50, 50, width=32))
)
ENTRIES = st.floats(-2, 2)


@given(ENTRIES, ENTRIES, ENTRIES, ENTRIES)
def test_the_gradient_of_an_affine_field_is_its_matrix_everywhere(
    a: float, b: float, c: float, d: float
) -> None:
    matrix = np.array([[a, b], [c, d]])
    y, x = np.mgrid[:7, :9]
    vectors = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y])).astype(np.float32)
    # float32 of values up to 30, borders included
    expected = np.broadcast_to(matrix[..., None, None], (2, 2, 7, 9))
    np.testing.assert_allclose(motion.gradient(vectors), expected, atol=1e-5)
    np.testing.assert_allclose(motion.divergence(vectors), a + d, atol=2e-5)
    np.testing.assert_allclose(motion.curl(vectors), c - b, atol=2e-5)
    strength = motion.boundary_strength(vectors)
    np.testing.assert_allclose(strength, np.linalg.norm(matrix), atol=2e-5)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.25])
def test_a_zoom_has_divergence_and_no_curl(factor: float) -> None:
    truth = synthetic.zoom(factor=factor)[2]
    np.testing.assert_allclose(motion.divergence(truth), 2 * (factor - 1), atol=1e-5)  # float32
    np.testing.assert_allclose(motion.curl(truth), 0, atol=1e-5)


@pytest.mark.parametrize("degrees", [-10.0, 3.0])
def test_the_curl_of_a_rotation_is_twice_its_sine_and_positive_if_clockwise(degrees: float) -> None:
    truth = synthetic.rotation(degrees=degrees)[2]
    angle = np.radians(degrees)
    np.testing.assert_allclose(motion.curl(truth), 2 * np.sin(angle), atol=1e-5)  # float32
    np.testing.assert_allclose(motion.divergence(truth), 2 * (np.cos(angle) - 1), atol=1e-5)


@given(FIELDS)
def test_derivatives_inside_the_frame_are_central_differences(vectors: NDArray[np.float32]) -> None:
    jacobian = motion.gradient(vectors)
    assert jacobian.shape == (2, *vectors.shape)
    _, rows, columns = vectors.shape
    for y, x in np.ndindex(rows, columns):
        left, right = max(x - 1, 0), min(x + 1, columns - 1)
        top, bottom = max(y - 1, 0), min(y + 1, rows - 1)
        across = (vectors[:, y, right] - vectors[:, y, left]) / (right - left)
        down = (vectors[:, bottom, x] - vectors[:, top, x]) / (bottom - top)
        # float32 of differences of values up to 50
        np.testing.assert_allclose(jacobian[:, 0, y, x], across, atol=1e-5)
        np.testing.assert_allclose(jacobian[:, 1, y, x], down, atol=1e-5)


@given(FIELDS)
def test_derivatives_rotate_with_the_frames_and_flips_negate_the_curl(
    vectors: NDArray[np.float32],
) -> None:
    turned, mirrored = motion.quarter_turn(vectors), motion.flip(vectors, axis="x")
    for measure, sign in (
        (motion.divergence, 1),
        (motion.boundary_strength, 1),
        (motion.curl, -1),
    ):
        plain = measure(vectors)
        # float32, summed in another order
        np.testing.assert_allclose(measure(turned), np.rot90(plain, -1), atol=1e-4)
        np.testing.assert_allclose(measure(mirrored), sign * plain[:, ::-1], atol=1e-4)


def test_boundaries_are_exactly_the_outline_of_a_moving_object() -> None:
    truth = synthetic.layers(size=(96, 128), background=(0, 0), foreground=(3, 2))[2]
    edges = motion.boundaries(truth)
    assert edges.shape == (1, 96, 128)
    y, x = np.mgrid[:96, :128]
    away = np.abs(np.hypot(x - 63.5, y - 47.5) - 24)
    assert edges[0][away < 0.5].all()
    assert not edges[0][away > 2].any()


@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(0, 0.8), st.floats(0, 0.8))
def test_boundaries_follow_the_papers_inequality(
    dx: float, dy: float, slope: float, other: float
) -> None:
    y, x = np.mgrid[:5, :9]
    vectors = np.stack([dx + slope * x, dy - other * y]).astype(np.float32)
    strength = slope**2 + other**2
    limit = 0.01 * np.square(vectors).sum(axis=0) + 0.002
    clear = np.abs(strength - limit) > 1e-5  # float32 of squares up to 150
    edges = motion.boundaries(vectors)
    np.testing.assert_array_equal(edges[clear], (strength > limit)[clear])


@pytest.mark.parametrize(
    "measure",
    [
        motion.gradient,
        motion.divergence,
        motion.curl,
        motion.boundary_strength,
        motion.boundaries,
    ],
)
def test_a_field_that_cannot_be_differentiated_is_an_error(
    measure: Callable[[NDArray[np.float32]], object],
) -> None:
    for shape, message in (
        ((2, 1, 5), "expected at least 2 rows.* got 1"),
        ((2, 5, 1), "expected at least 2 columns.* got 1"),
        ((3, 5, 5), "vectors: expected shape"),
        ((5, 5), "vectors: expected shape"),
    ):
        with pytest.raises(ShapeError, match=message):
            measure(np.zeros(shape, np.float32))
