"""Trajectories of points through fields, and sampling along trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ShapeError
from flowstream.flow import motion

SPEEDS = st.floats(-4, 4, width=32)


@given(SPEEDS, SPEEDS, st.integers(1, 9))
def test_trajectories_through_a_constant_field_are_straight_and_end_at_the_border(
    dx: float, dy: float, length: int
) -> None:
    fields = np.empty((length, 2, 20, 30), np.float32)
    fields[:, 0], fields[:, 1] = dx, dy
    points = np.array([[15, 10], [3.5, 2.25], [29, 19], [0, 0]])
    paths = motion.trajectories(fields, points)
    assert paths.shape == (length + 1, 4, 2)
    assert paths.dtype == np.float32
    for place, path in zip(points, paths.swapaxes(0, 1), strict=True):
        straight = place + np.outer(np.arange(length + 1), [dx, dy])
        inside = (straight >= 0).all(axis=1) & (straight <= [29, 19]).all(axis=1)
        seen = np.logical_and.accumulate(inside)
        np.testing.assert_allclose(path[seen], straight[seen], atol=1e-5)  # float32
        assert np.isnan(path[~seen]).all()


def test_a_point_in_a_rotation_stays_on_its_circle() -> None:
    truth = synthetic.rotation(degrees=10, size=(61, 81))[2][0]
    paths = motion.trajectories((truth for _ in range(36)), [[40 + 20, 30], [40, 30]])
    angles = np.radians(10) * np.arange(37)
    circle = np.array([40, 30]) + 20 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # bilinear interpolation is exact on an affine field; float32 fields, 36 steps
    np.testing.assert_allclose(paths[:, 0], circle, atol=1e-3)
    np.testing.assert_allclose(paths[:, 1], [[40, 30]] * 37, atol=1e-3)


def test_trajectories_end_where_composed_fields_end() -> None:
    one = synthetic.zoom(factor=1.05, size=(40, 50))[2][0]
    two = synthetic.rotation(degrees=4, size=(40, 50))[2][0]
    y, x = np.mgrid[:40, :50]
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    end = motion.trajectories([one, two], points)[-1]
    composed, valid = motion.compose(one, two)
    led = points + composed.reshape(2, -1).T
    # in the last step a composed vector may leave the frame, where a trajectory becomes NaN
    stays = valid.ravel() & (led >= 0).all(axis=1) & (led <= [49, 39]).all(axis=1)
    np.testing.assert_allclose(end[stays], led[stays], atol=1e-4)  # float32
    assert np.isnan(end[~valid.ravel()]).all()


def test_a_point_is_lost_where_motion_is_unknown_and_stays_lost() -> None:
    fields = np.ones((4, 2, 10, 10), np.float32)
    fields[1, :, 2, 2] = np.nan
    paths = motion.trajectories(fields, np.array([[1, 1], [4, 4], [-1, 0], [2, 9.5]]))
    lost: NDArray[np.bool_] = np.logical_and.reduce(np.isnan(paths), axis=2)
    np.testing.assert_array_equal(lost[:, 0], [False, False, True, True, True])
    np.testing.assert_array_equal(lost[:, 1], [False] * 5)
    assert lost[:, 2:].all()  # not in the first frame


def test_invalid_points_and_fields_are_errors() -> None:
    field = np.zeros((2, 4, 4), np.float32)
    for shape in ((3,), (3, 3), (2, 3, 2)):
        with pytest.raises(ShapeError, match=r"points: expected shape \(P, 2\).* got"):
            motion.trajectories([field], np.zeros(shape))
    with pytest.raises(ShapeError, match=r"field 1: expected shape \(2, 4, 4\).* got \(2, 5, 4\)"):
        motion.trajectories([field, np.zeros((2, 5, 4), np.float32)], [[0, 0]])
    with pytest.raises(ShapeError, match=r"field 0: .* got \(4, 4\)"):
        motion.trajectories(field, [[0, 0]])
    with pytest.raises(ShapeError, match=r"fields: .* got none"):
        motion.trajectories([], [[0, 0]])
    with pytest.raises(ShapeError, match=r"fields: .* got \(2, 4, 4\)"):
        motion.along_trajectories(field)


def slow_along(fields: NDArray[np.float32]) -> NDArray[Any]:
    """Return equation 2 of Simonyan & Zisserman 2014, pixel by pixel, clamped to the border."""
    length, _, rows, columns = fields.shape
    met = np.zeros(fields.shape)
    for v, u in np.ndindex(rows, columns):
        p = np.array([u, v], float)
        for k in range(length):
            x, y = np.clip(p[0], 0, columns - 1), np.clip(p[1], 0, rows - 1)
            for j, i in np.ndindex(rows, columns):
                weight = max(0, 1 - abs(x - i)) * max(0, 1 - abs(y - j))
                met[k, :, v, u] += weight * fields[k, :, j, i]
            p += met[k, :, v, u]
    return met


@given(st.integers(0, 999), st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))
def test_along_trajectories_follows_the_papers_equation(
    seed: int, length: int, rows: int, columns: int
) -> None:
    drawn = np.random.default_rng(seed).normal(0, 1.5, (length, 2, rows, columns))
    fields: NDArray[np.float32] = drawn.astype(np.float32)
    kept = fields.copy()
    # float32 positions in fields with differences up to 6 per pixel, over four steps
    np.testing.assert_allclose(motion.along_trajectories(fields), slow_along(fields), atol=1e-3)
    np.testing.assert_array_equal(fields, kept)


def test_the_motion_of_an_object_is_sampled_along_its_whole_path() -> None:
    # a block of width 4 moves 3 px right per step; each field has it at its current position
    fields = np.zeros((4, 2, 6, 30), np.float32)
    for k, field in enumerate(fields):
        field[0, :, 5 + 3 * k : 9 + 3 * k] = 3
    met = motion.along_trajectories(fields)
    expected = np.zeros((4, 2, 6, 30))
    expected[:, 0, :, 5:9] = 3  # points that start on the block stay on it
    for k in range(1, 4):
        # the block reaches points of the static background and then carries them
        expected[k, 0, :, 9 : 9 + 3 * k] = 3
    ground = np.ones(30, bool)
    ground[9:18] = False
    np.testing.assert_array_equal(met[..., ground], expected[..., ground])
    assert (fields[:, 0, :, 5:9] != 3).any()  # without trajectories the block is lost


def test_carried_by_moves_the_points_and_fields_are_sampled() -> None:
    # the camera pan moves static points 2 px right per step
    still = np.zeros((4, 2, 6, 20), np.float32)
    still[2, 0, :, 9] = 7
    pan = np.zeros_like(still)
    pan[:, 0] = 2
    met = motion.along_trajectories(still, carried_by=pan)
    assert np.flatnonzero(met[2, 0, 0]).tolist() == [5]
    np.testing.assert_array_equal(
        motion.along_trajectories(still, carried_by=still), motion.along_trajectories(still)
    )
    with pytest.raises(ShapeError, match=r"carried_by: .* got \(3, 2, 6, 20\)"):
        motion.along_trajectories(still, carried_by=pan[:3])
