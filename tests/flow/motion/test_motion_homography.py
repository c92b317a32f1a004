"""Flow of homographies and removal of camera motion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import motion

SMALL = st.floats(-0.1, 0.1)


@st.composite
def cameras(draw: st.DrawFn) -> NDArray[np.float64]:
    """Draw homographies with small shear, rotation, zoom, tilt and translation."""
    matrix = np.eye(3)
    matrix[:2, :2] += np.array([draw(SMALL) for _ in range(4)]).reshape(2, 2)
    matrix[:2, 2] = draw(st.floats(-9, 9)), draw(st.floats(-9, 9))
    matrix[2, :2] = draw(st.floats(-2e-3, 2e-3)), draw(st.floats(-2e-3, 2e-3))
    return matrix


def place(matrix: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    moved = matrix @ (x, y, 1)
    return np.asarray(moved[:2] / moved[2], np.float64)


@given(cameras(), st.floats(0.5, 3))
def test_the_field_of_a_homography_maps_each_pixel_like_the_homography(
    matrix: NDArray[np.float64], scale: float
) -> None:
    # a homography is defined up to a scale
    field = motion.homography_field(scale * matrix, (12, 16))
    for y, x in np.ndindex(12, 16):
        expected = place(matrix, x, y) - (x, y)
        np.testing.assert_allclose(field[:, y, x], expected, atol=1e-4)  # float32


@given(cameras())
def test_the_residual_of_pure_camera_motion_is_zero(matrix: NDArray[np.float64]) -> None:
    field = motion.homography_field(matrix, (12, 16))
    # float32 of vectors up to 20, contracted by at most 1.1
    np.testing.assert_allclose(motion.residual(field, matrix), 0, atol=1e-4)


@given(cameras(), st.integers(0, 99))
def test_the_residual_is_exactly_the_motion_of_the_object(
    matrix: NDArray[np.float64], seed: int
) -> None:
    own = np.random.default_rng(seed).normal(0, 4, (2, 12, 16)).astype(np.float32)
    seen = np.empty((2, 12, 16), np.float32)
    for y, x in np.ndindex(12, 16):
        # it moves in coordinates of the first frame, then the camera moves
        seen[:, y, x] = place(matrix, x + own[0, y, x], y + own[1, y, x]) - (x, y)
    np.testing.assert_allclose(motion.residual(seen, matrix), own, atol=1e-4)  # float32
    np.testing.assert_allclose(motion.with_camera(own, matrix), seen, atol=1e-4)


def test_the_residual_is_the_flow_to_the_stabilised_second_frame() -> None:
    # the camera rotates by 6 degrees; rotated back, the second frame shows the same background
    first, second, truth = synthetic.rotation(degrees=6, size=(96, 128), seed=5)
    angle, middle = np.radians(6), np.array([63.5, 47.5])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = turn, middle - turn @ middle
    field = motion.homography_field(matrix, (96, 128))
    np.testing.assert_allclose(field, truth[0], atol=1e-4)  # float32
    stabilised, valid = motion.warp(second[0], field)
    # 1.5 levels: rounding of both, and interpolation
    assert np.abs(stabilised.astype(float) - first[0])[valid].mean() < 1.5


@given(cameras(), st.integers(0, 99))
def test_removing_and_adding_camera_motion_changes_nothing(
    matrix: NDArray[np.float64], seed: int
) -> None:
    vectors = np.random.default_rng(seed).normal(0, 5, (2, 12, 16)).astype(np.float32)
    vectors[0, 3, 4] = vectors[1, 3, 4] = np.nan
    rest = motion.residual(vectors, matrix)
    np.testing.assert_array_equal(np.isnan(rest), np.isnan(vectors))
    np.testing.assert_allclose(motion.with_camera(rest, matrix), vectors, atol=1e-4)  # float32
    np.testing.assert_allclose(motion.residual(vectors, np.eye(3)), vectors, atol=1e-5)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((3, 3)), np.diag([1.0, 0, 1]), np.full((3, 3), np.nan), np.diag([1.0, 1, 0])],
)
def test_a_singular_homography_is_an_error(matrix: NDArray[np.float64]) -> None:
    field = np.zeros((2, 4, 5), np.float32)
    for operation in (motion.residual, motion.with_camera):
        with pytest.raises(ParameterError, match="expected an invertible matrix"):
            operation(field, matrix)
    with pytest.raises(ParameterError, match="expected an invertible matrix"):
        motion.homography_field(matrix, (4, 5))


def test_a_horizon_in_the_frame_and_wrong_shapes_are_errors() -> None:
    field = np.zeros((2, 4, 5), np.float32)
    horizon = np.eye(3)
    horizon[2, 0] = -0.5  # x = 2 maps to infinity
    with pytest.raises(ParameterError, match="pixels of a 5x4 frame"):
        motion.homography_field(horizon, (4, 5))
    with pytest.raises(ShapeError, match=r"homography: .* got \(2, 3\)"):
        motion.residual(field, np.eye(3)[:2])
    with pytest.raises(ShapeError, match="vectors: expected shape"):
        motion.residual(field[None], np.eye(3))
    with pytest.raises(ShapeError, match=r"size: .* got \(0, 5\)"):
        motion.homography_field(np.eye(3), (0, 5))
