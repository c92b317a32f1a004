"""What every flow method promises, run over the whole METHODS table."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import METHODS, synthetic
from flowstream.errors import MissingDependencyError, ShapeError
from flowstream.flow import FlowMethod, measure, motion
from flowstream.flow.method import as_luma
from flowstream.plugins import provenance, rebuild

SIZE = (64, 80)

# What a method cannot do without; paths are in the folder of the shared data.
WEIGHTS = {"raft": "weights/raft-small.pth", "ptlflow": "weights/raft-small.pth"}
NEEDED: dict[str, dict[str, Any]] = {
    "raft": {"variant": "small", "device": "cpu"},
    "ptlflow": {"model": "raft_small", "updates": 12, "device": "cpu"},
}

# On a machine with a GPU, methods that can compute there are tested there, too.
DEVICE = os.environ.get("FLOWSTREAM_TEST_DEVICE")

# Half a step of the 8-bit codec at bound 20: a finer difference does not survive storage.
HALF_STEP = 0.1

# Windows and patches take the motion inside of them as constant; here it changes by 0.05 px a
# pixel, so by up to 0.4 px from the middle of Farnebäck's window to its side.
CHANGING = 0.15

# Learned flow is not held to the exactness of equations on pictures unlike those it learned from.
SLACK = {"raft": 6.0, "ptlflow": 6.0}


@pytest.fixture(scope="module", params=list(METHODS))
def method(request: pytest.FixtureRequest) -> FlowMethod:
    name = request.param
    parameters = dict(NEEDED.get(name, {}))
    if name in WEIGHTS:
        folder: Path = request.getfixturevalue("shared_data")
        parameters["weights"] = str(folder / WEIGHTS[name])
    try:
        kind: Any = METHODS[name]
        if DEVICE and any(field.name == "device" for field in dataclasses.fields(kind)):
            parameters["device"] = DEVICE
        made = METHODS[name](**parameters)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    return made


def inner_error(vectors: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Mean EPE away from the border, where what comes into view was in no first frame."""
    inside = (..., slice(8, -8), slice(8, -8))
    return measure.average_end_point_error(vectors[inside], truth[inside])


def within(tolerance: float, method: FlowMethod) -> float:
    return tolerance * SLACK.get(method.name, 1.0)


def constant(dx: float, dy: float, *, size: tuple[int, int] = SIZE) -> NDArray[np.float32]:
    field = np.empty((1, 2, *size), np.float32)
    field[:, 0], field[:, 1] = dx, dy
    return field


def test_it_knows_its_own_name(method: FlowMethod) -> None:
    assert METHODS[method.name] is type(method)


def test_fields_are_contiguous_float32_of_the_frames_size(method: FlowMethod) -> None:
    vectors = method(*synthetic.pan(dx=1, dy=1, size=SIZE, seed=1))
    assert vectors.shape == (1, 2, *SIZE)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert np.isfinite(vectors).all()


def test_identical_frames_do_not_move(method: FlowMethod) -> None:
    first, _ = synthetic.pan(dx=0, dy=0, size=SIZE, seed=2)
    # 0.02 px: an eighth of a step of the 8-bit codec at bound 20
    assert np.abs(method(first, first)).mean() < within(0.02, method)


@pytest.mark.parametrize("value", [0, 127, 255])
def test_frames_without_texture_do_not_move(method: FlowMethod, value: int) -> None:
    frames = np.full((1, *SIZE), value, np.uint8)
    vectors = method(frames, frames)
    assert np.isfinite(vectors).all()
    assert np.abs(vectors).mean() < within(HALF_STEP, method)


@pytest.mark.parametrize(("dx", "dy"), [(3, -2), (-1.5, 0.5), (0.25, 4)])
def test_a_known_shift_is_recovered(method: FlowMethod, dx: float, dy: float) -> None:
    first, second = synthetic.pan(dx=dx, dy=dy, size=SIZE, seed=3)
    assert inner_error(method(first, second), constant(dx, dy)) < within(HALF_STEP, method)


@pytest.mark.parametrize("degrees", [3, -3])
def test_a_known_rotation_is_recovered(method: FlowMethod, degrees: float) -> None:
    first, second, truth = synthetic.rotation(degrees=degrees, size=SIZE, seed=4)
    assert inner_error(method(first, second), truth) < within(CHANGING, method)


@pytest.mark.parametrize("factor", [1.05, 0.95])
def test_a_known_zoom_is_recovered(method: FlowMethod, factor: float) -> None:
    first, second, truth = synthetic.zoom(factor=factor, size=SIZE, seed=5)
    assert inner_error(method(first, second), truth) < within(CHANGING, method)


def test_flipping_the_frames_flips_the_flow(method: FlowMethod) -> None:
    first, second = synthetic.pan(dx=3, dy=-2, size=SIZE, seed=7)
    plain = method(first, second)
    across = method(first[..., ::-1], second[..., ::-1])
    down = method(first[:, ::-1], second[:, ::-1])
    assert np.abs(motion.flip(across, axis="x") - plain).mean() < within(HALF_STEP, method)
    assert np.abs(motion.flip(down, axis="y") - plain).mean() < within(HALF_STEP, method)


def test_transposing_the_frames_transposes_the_flow(method: FlowMethod) -> None:
    first, second = synthetic.pan(dx=3, dy=-2, size=SIZE, seed=8)
    plain = method(first, second)
    turned = method(first.swapaxes(1, 2), second.swapaxes(1, 2))
    assert np.abs(motion.transpose(turned) - plain).mean() < within(HALF_STEP, method)


def test_frames_are_not_written_to_and_may_be_read_only(method: FlowMethod) -> None:
    first, second = synthetic.pan(dx=2, dy=1, size=SIZE, seed=9)
    copies = first.copy(), second.copy()
    vectors = method(first, second)
    np.testing.assert_array_equal(first, copies[0])
    np.testing.assert_array_equal(second, copies[1])
    first.flags.writeable = second.flags.writeable = False
    np.testing.assert_array_equal(method(first, second), vectors)


def test_frames_may_lie_in_memory_in_any_order(method: FlowMethod) -> None:
    first, second = synthetic.pan(dx=2, dy=1, size=SIZE, seed=10)
    vectors = method(first, second)
    strided = np.zeros((1, 2 * SIZE[0], 3 * SIZE[1]), np.uint8)[:, ::2, ::3]
    strided[:] = first
    np.testing.assert_array_equal(method(strided, np.asfortranarray(second)), vectors)


@pytest.mark.parametrize(("axis", "name"), [(0, "pairs"), (1, "rows"), (2, "columns")])
def test_unequal_sizes_are_refused_on_each_axis(method: FlowMethod, axis: int, name: str) -> None:
    shape, other = [2, *SIZE], [2, *SIZE]
    other[axis] += 1
    with pytest.raises(ShapeError, match=name):
        method(np.zeros(shape, np.uint8), np.zeros(other, np.uint8))


@pytest.mark.parametrize("axis", [1, 2])
def test_frames_below_the_least_side_are_refused_on_each_axis(
    method: FlowMethod, axis: int
) -> None:
    shape = [1, *SIZE]
    shape[axis] = method.min_side - 1
    frames = np.zeros(shape, np.uint8)
    with pytest.raises(ShapeError, match=f"at least {method.min_side} "):
        method(frames, frames)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint16, bool])
def test_frames_that_are_not_uint8_are_refused(method: FlowMethod, dtype: type) -> None:
    frames: NDArray[Any] = np.zeros((1, *SIZE), dtype)
    with pytest.raises(ShapeError, match="uint8"):
        method(frames, frames)


@pytest.mark.parametrize("shape", [SIZE, (1, *SIZE, 4), (1, 1, *SIZE, 3)])
def test_frames_with_other_axes_are_refused(method: FlowMethod, shape: tuple[int, ...]) -> None:
    frames = np.zeros(shape, np.uint8)
    with pytest.raises(ShapeError, match="shape"):
        method(frames, frames)


def test_a_batch_gives_what_its_pairs_give_one_by_one(method: FlowMethod) -> None:
    pairs = [synthetic.pan(dx=dx, dy=1, size=SIZE, seed=11 + dx) for dx in (-2, 0, 3)]
    first, second = (np.concatenate(frames) for frames in zip(*pairs, strict=True))
    alone = np.concatenate([method(*pair) for pair in pairs])
    # 1e-3 px: a network's sums may be ordered by batch; the classical methods' own tests are exact
    np.testing.assert_allclose(method(first, second), alone, rtol=0, atol=1e-3)


def test_both_directions_are_those_of_two_calls(method: FlowMethod) -> None:
    images = [synthetic.pan(dx=dx, dy=1, size=SIZE, seed=11)[1] for dx in (0, 2, -1)]
    first, second = np.concatenate(images[:-1]), np.concatenate(images[1:])
    forward, backward = method.both_directions(first, second)
    # as above
    np.testing.assert_allclose(forward, method(first, second), rtol=0, atol=1e-3)
    np.testing.assert_allclose(backward, method(second, first), rtol=0, atol=1e-3)
    assert backward.flags.c_contiguous
    with pytest.raises(ShapeError, match="pairs"):
        method.both_directions(first, second[:1])


def test_an_empty_batch_gives_no_fields(method: FlowMethod) -> None:
    frames = np.zeros((0, *SIZE), np.uint8)
    vectors = method(frames, frames)
    assert vectors.shape == (0, 2, *SIZE)
    assert vectors.dtype == np.float32
    assert [fields.shape for fields in method.both_directions(frames, frames)] == 2 * [
        (0, 2, *SIZE)
    ]


def test_colour_is_taken_as_its_luma_and_luma_as_grey(method: FlowMethod) -> None:
    planes = [synthetic.pan(dx=2, dy=-1, size=SIZE, seed=seed) for seed in (20, 21, 22)]
    first, second = (np.stack(frames, axis=-1) for frames in zip(*planes, strict=True))
    if method.colour:
        grey = first[..., :1].repeat(3, axis=-1), second[..., :1].repeat(3, axis=-1)
        np.testing.assert_array_equal(method(first[..., 0], second[..., 0]), method(*grey))
    else:
        luma = method(as_luma(first), as_luma(second))
        np.testing.assert_array_equal(method(first, second), luma)


def test_the_same_frames_give_the_same_flow_whatever_came_before(method: FlowMethod) -> None:
    first, second = synthetic.pan(dx=2, dy=1, size=SIZE, seed=12)
    vectors = method(first, second)
    for size in ((16, 16), SIZE, (40, 24)):
        method(*synthetic.pan(dx=-3, dy=3, size=size, seed=13))
        np.testing.assert_array_equal(method(first, second), vectors)


def test_an_equal_method_gives_the_same_flow(method: FlowMethod) -> None:
    twin = pickle.loads(pickle.dumps(method))
    assert twin == method
    assert hash(twin) == hash(method)
    first, second = synthetic.pan(dx=2, dy=1, size=SIZE, seed=14)
    np.testing.assert_array_equal(twin(first, second), method(first, second))


def test_its_provenance_is_enough_to_make_it_again(method: FlowMethod) -> None:
    record = json.loads(json.dumps(provenance(method)))
    assert record["name"] == method.name
    assert rebuild(METHODS, record) == method


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (31, 16), (16, 200), (200, 17), (45, 67)])
def test_any_size_from_the_least_side_on_works(method: FlowMethod, size: tuple[int, int]) -> None:
    first, second = synthetic.pan(dx=1, dy=-0.5, size=size, seed=15)
    vectors = method(first, second)
    assert vectors.shape == (1, 2, *size)
    assert np.isfinite(vectors).all()
    if method.name not in SLACK:
        # the median, for at 16 pixels most of the frame is near a border; 0.3 px of 1.1 moved
        # finds a wrong scale, axis or padding
        errors = measure.end_point_error(vectors, constant(1, -0.5, size=size))
        assert np.median(errors) < 0.3
