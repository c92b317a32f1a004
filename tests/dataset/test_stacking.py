"""Stacking variants: known motions, slow oracles, and what each needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.codec.float32 import Float32
from flowstream.dataset.augmentations.flips import HorizontalFlip
from flowstream.dataset.split import Sample
from flowstream.dataset.stacking import STACKINGS
from flowstream.dataset.transforms import Step, SubtractMeanFlow
from flowstream.dataset.window import Window
from flowstream.errors import ParameterError, StackError, UnknownNameError
from flowstream.flow import motion
from tests.dataset.cut import flow_clips, only, rgb_clips
from tests.small_stack import write_fields

Fields = NDArray[np.float32]
Write = Callable[..., tuple[Sample, ...]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(fields)` makes a stack of fields (n, 2, H, W) as they are.

    Its way back is minus its way there, exact for what is the same everywhere; `cameras` (n, 3, 3)
    were taken out of it.
    """

    def make(
        fields: Fields, *, backward: bool = True, cameras: NDArray[np.float64] | None = None
    ) -> tuple[Sample, ...]:
        items: dict[str, NDArray[Any]] = {"flow_backward": -fields} if backward else {}
        if cameras is not None:
            items |= {"homography": cameras, "inliers": np.ones(len(fields), np.float32)}
        path = write_fields(
            tmp_path / f"{len(list(tmp_path.iterdir()))}.h5",
            fields,
            codec=Float32(),
            items=items,
            stabiliser=None if cameras is None else {"name": "known"},
        )
        return (Sample("known", 0, "known", path),)

    return make


def fields_of(samples: tuple[Sample, ...], window: Window, stacking: str, *steps: Step) -> Fields:
    """(L, 2, H, W) of the first test clip."""
    clips = flow_clips(samples, window, steps, training=False, stacking=stacking)
    values = only(clips[0])[0]
    assert values.shape == clips.shapes["flow"]
    fields: Fields = values.swapaxes(0, 1)
    return fields


def pans(*dx: float, size: tuple[int, int] = (8, 12)) -> Fields:
    """Fields that are the same everywhere: field k moves right by dx[k], down by twice that."""
    fields = np.empty((len(dx), 2, *size), np.float32)
    fields[:, 0] = np.array(dx)[:, None, None]
    fields[:, 1] = 2 * fields[:, 0]
    return fields


def speeds(fields: Fields) -> list[float]:
    assert (fields == fields[:, :, :1, :1]).all()
    np.testing.assert_array_equal(fields[:, 1], 2 * fields[:, 0])
    return [float(dx) for dx in fields[:, 0, 0, 0]]


def test_a_pan_is_the_same_along_its_trajectories(write: Write) -> None:
    samples = write(pans(*range(12)))
    for window in (Window(6), Window(3, step=2)):
        plain = fields_of(samples, window, "flow")
        np.testing.assert_array_equal(fields_of(samples, window, "trajectory"), plain)


def test_trajectory_stacking_of_a_turn_turns_each_pixels_first_vector(write: Write) -> None:
    size, degrees = (31, 41), 8.0
    turn = synthetic.rotation(degrees=degrees, size=size)[2]
    samples = write(np.repeat(turn, 9, axis=0))
    met = fields_of(samples, Window(6), "trajectory")
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    y, x = np.mgrid[: size[0], : size[1]]
    middle = np.array([20, 15])
    circle = np.hypot(x - 20, y - 15) <= 15  # these stay inside the frame all the way
    place = np.stack([x, y]) - middle[:, None, None]
    for field in met:
        expected = np.einsum("ij,jyx->iyx", matrix - np.eye(2), place)
        # bilinear interpolation is exact on an affine field; float32
        np.testing.assert_allclose(field[:, circle], expected[:, circle], atol=1e-4)
        place = np.einsum("ij,jyx->iyx", matrix, place)


@pytest.mark.parametrize("step", [1, 2])
def test_trajectory_stacking_is_a_slow_walk_through_every_field(step: int, write: Write) -> None:
    generator = np.random.default_rng(step)
    fields = generator.normal(0, 1, (9, 2, 6, 7)).astype(np.float32)
    window = Window(4, step=step)
    met = fields_of(write(fields), window, "trajectory")
    start = window.starts(9, None)[0]
    for v, u in np.ndindex(6, 7):
        x, y = float(u), float(v)
        for k in range(window.span):
            to_x, to_y = min(max(x, 0), 6), min(max(y, 0), 5)
            weights = np.outer(
                np.maximum(0, 1 - abs(to_y - np.arange(6))),
                np.maximum(0, 1 - abs(to_x - np.arange(7))),
            )
            dx, dy = (weights * fields[start + k]).sum(axis=(1, 2))
            if k % step == 0:
                # float32 places in fields that change by up to 5 a pixel
                np.testing.assert_allclose(met[k // step, :, v, u], (dx, dy), atol=1e-3)
            x, y = x + dx, y + dy


def test_bidirectional_stacking_leads_both_ways_from_the_middle_frame(write: Write) -> None:
    # accelerating: at frame t the scene is at t^2, so field k moves by 2 k + 1
    samples = write(pans(*(2 * k + 1 for k in range(11))))
    window = Window(6)
    middle = window.starts(11, None)[0] + 3
    found = speeds(fields_of(samples, window, "bidirectional"))
    # summed up, each half is where the scene is relative to the middle frame
    ahead = [(middle + i) ** 2 - middle**2 for i in (1, 2, 3)]
    behind = [(middle - i) ** 2 - middle**2 for i in (1, 2, 3)]
    assert np.cumsum(found[:3]).tolist() == ahead
    assert np.cumsum(found[3:]).tolist() == behind


def test_bidirectional_fields_a_step_apart_stay_in_the_window(write: Write) -> None:
    samples, window = write(pans(*range(1, 21))), Window(4, step=3)
    start = window.starts(20, None)[0]
    middle = start + 6
    # field k moves by k + 1
    expected = [middle + 1, middle + 4, -middle, -(middle - 3)]
    assert speeds(fields_of(samples, window, "bidirectional")) == expected
    assert start <= middle - 4
    assert middle + 3 < start + window.span


def test_short_videos_are_looped_and_trajectories_restart(write: Write) -> None:
    samples = write(pans(1, 2, 3))
    # fields 0 1 2 0 ... from frame 0; the middle frame of 8 fields is frame 4, which is frame 1
    assert speeds(fields_of(samples, Window(8), "bidirectional")) == [2, 3, 1, 2, -1, -3, -2, -1]
    assert speeds(fields_of(samples, Window(8), "flow")) == [1, 2, 3, 1, 2, 3, 1, 2]
    # a block that moves 3 right a step: in the second round its pixels are at their start again
    fields = np.zeros((2, 2, 6, 20), np.float32)
    fields[0, 0, :, 4:8] = fields[1, 0, :, 7:11] = 3
    met = fields_of(write(fields), Window(4), "trajectory")
    np.testing.assert_array_equal(met[2:], met[:2])
    np.testing.assert_array_equal(met[:2], motion.along_trajectories(fields))
    assert (met[:, 0, :, 4:8] == 3).all()


def test_trajectories_follow_the_picture_where_the_camera_was_taken_out(write: Write) -> None:
    # the camera pans by 2 right a step over a still world in which one column moves by 7 once
    fields = np.zeros((4, 2, 6, 20), np.float32)
    fields[2, 0, :, 9] = 7
    cameras = np.tile(np.eye(3), (4, 1, 1))
    cameras[:, 0, 2] = 2
    met = fields_of(write(fields, cameras=cameras), Window(4), "trajectory")
    assert np.flatnonzero(met[2, 0, 0]).tolist() == [5]
    met = fields_of(write(fields), Window(4), "trajectory")
    assert np.flatnonzero(met[2, 0, 0]).tolist() == [9]


@pytest.mark.parametrize("stacking", list(STACKINGS))
def test_a_mirrored_clip_is_the_clip_of_the_mirrored_video(stacking: str, write: Write) -> None:
    drawn = np.random.default_rng(5).normal(0, 1, (8, 2, 6, 9)).astype(np.float32)
    mirrored = fields_of(write(motion.flip(drawn)), Window(4), stacking)
    flipped = fields_of(write(drawn), Window(4), stacking, HorizontalFlip(1.0))
    np.testing.assert_allclose(flipped, mirrored, atol=1e-4)  # float32 places


@pytest.mark.parametrize("stacking", list(STACKINGS))
def test_mean_flow_goes_with_every_stacking(stacking: str, write: Write) -> None:
    drawn = np.random.default_rng(5).normal(2, 1, (8, 2, 6, 9)).astype(np.float32)
    samples = write(drawn)
    plain = fields_of(samples, Window(4), stacking)
    centred = fields_of(samples, Window(4), stacking, SubtractMeanFlow())
    expected = plain - plain.mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(centred, expected, atol=1e-6)  # float32 sums


def test_training_takes_the_same_moments_whatever_the_stacking(write: Write) -> None:
    samples, window = write(pans(*range(1, 31))), Window(4)
    plain, both = (
        flow_clips(samples, window, (), training=True, seed=2, stacking=stacking)
        for stacking in ("flow", "bidirectional")
    )
    starts = set()
    for epoch in range(9):
        plain.set_epoch(epoch)
        both.set_epoch(epoch)
        s = speeds(only(plain[0]).swapaxes(0, 1))
        starts.add(s[0])
        assert speeds(only(both[0]).swapaxes(0, 1)) == [s[2], s[3], -s[1], -s[0]]
    assert len(starts) > 3


def test_requirements_of_a_stacking_are_checked_before_the_first_clip(write: Write) -> None:
    samples = write(pans(1, 2, 3, 4, 5), backward=False)
    with pytest.raises(StackError, match=r"0.h5: no backward flow.*--backward"):
        flow_clips(samples, Window(4), (), training=False, stacking="bidirectional")
    with pytest.raises(ParameterError, match="length: got 5 fields, expected an even number"):
        flow_clips(samples, Window(5), (), training=False, stacking="bidirectional")
    with pytest.raises(
        UnknownNameError, match="unknown stacking 'trajectories'; known: flow, traj"
    ):
        flow_clips(samples, Window(4), (), training=False, stacking="trajectories")
    with pytest.raises(StackError, match="no RGB frames"):
        rgb_clips(samples, Window(4), (), training=False)
