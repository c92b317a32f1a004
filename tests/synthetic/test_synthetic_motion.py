"""Textures and motions whose truth is exact."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.synthetic.motion import disc_cover
from flowstream.synthetic.texture import random_texture
from flowstream.types import Images, Vectors


def pulled_back(second: Images, truth: Vectors) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The second frame looked up where the truth says, and where that lies inside it."""
    rows, columns = second.shape
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    x_there = (x + truth[0]).astype(np.float32)
    y_there = (y + truth[1]).astype(np.float32)
    looked_up = cv2.remap(second.astype(np.float32), x_there, y_there, cv2.INTER_CUBIC)
    inside = (x_there > 2) & (x_there < columns - 3) & (y_there > 2) & (y_there < rows - 3)
    return np.asarray(looked_up, np.float32), inside


MOTIONS: dict[str, Any] = {
    "rotation": lambda seed: synthetic.rotation(degrees=5, seed=seed),
    "zoom in": lambda seed: synthetic.zoom(factor=1.08, seed=seed),
    "zoom out": lambda seed: synthetic.zoom(factor=0.94, seed=seed),
    "affine": lambda seed: synthetic.affine(
        matrix=[[1.02, 0.05], [-0.03, 0.97]], shift=(1.3, -2.6), seed=seed
    ),
    "layers": lambda seed: synthetic.layers(
        background=(-1.5, 0.5), foreground=(3.25, -2.5), seed=seed
    ),
}


@pytest.mark.parametrize("name", MOTIONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_second_frame_is_the_first_moved_by_the_truth(name: str, seed: int) -> None:
    first, second, truth = MOTIONS[name](seed)
    assert first.shape == second.shape == (1, 96, 128)
    assert truth.shape == (1, 2, 96, 128)
    assert (first.dtype, second.dtype, truth.dtype) == (np.uint8, np.uint8, np.float32)
    seen, inside = pulled_back(second[0], truth[0])
    difference = np.abs(seen - first[0])[inside]
    # two roundings and cubic interpolation of waves of 6 pixels and more; a disc's rim adds its
    # occlusions
    assert np.median(difference) < 1
    assert (difference > 5).mean() < (0.06 if name == "layers" else 0.005)
    # not by chance: where nothing moves, the frames differ much
    assert np.median(np.abs(second[0].astype(float) - first[0])) > 5


@given(dx=st.integers(-20, 20), dy=st.integers(-20, 20), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_a_pan_by_whole_pixels_moves_every_pixel_exactly_and_wraps_none(
    dx: int, dy: int, seed: int
) -> None:
    first, second = synthetic.pan(dx=dx, dy=dy, size=(40, 50), seed=seed)
    from_first = first[0, max(0, -dy) : 40 - max(0, dy), max(0, -dx) : 50 - max(0, dx)]
    in_second = second[0, max(0, dy) : 40 - max(0, -dy), max(0, dx) : 50 - max(0, -dx)]
    # the waves' last bits may round a half the other way
    assert np.abs(from_first.astype(int) - in_second).max() <= 1
    if abs(dx) > 3:
        entered = second[0, :, :dx] if dx > 0 else second[0, :, dx:]
        left = first[0, :, -dx:] if dx > 0 else first[0, :, :-dx]
        assert np.abs(entered.astype(int) - left).mean() > 5


def test_a_pan_by_parts_of_a_pixel_is_exact() -> None:
    drawn = random_texture(np.random.default_rng(4))
    first, second = synthetic.pan(dx=2.37, dy=-0.81, size=(40, 50), seed=4)
    x, y = np.meshgrid(np.arange(50) - 2.37, np.arange(40) + 0.81)
    for frame, (across, down) in ((second, (x, y)), (first, np.meshgrid(range(50), range(40)))):
        phase = np.multiply.outer(across, drawn.waves[:, 0])
        phase += np.multiply.outer(down, drawn.waves[:, 1]) + drawn.phases
        values = 128 + np.cos(phase) @ drawn.amplitudes
        # half a level: rounding
        assert np.abs(np.clip(values, 0, 255) - frame[0]).max() <= 0.5 + 1e-6


def test_positive_degrees_turn_clockwise_on_screen_and_factors_above_one_grow() -> None:
    _, _, turned = synthetic.rotation(degrees=4)
    _, _, grown = synthetic.zoom(factor=1.1)
    top, right = turned[0, :, 0, 64], turned[0, :, 48, -1]
    assert top[0] > 3  # the top moves right
    assert right[1] > 3  # the right side moves down
    assert grown[0, 0, 48, -1] == pytest.approx(0.1 * 63.5)
    assert grown[0, 1, -1, 64] == pytest.approx(0.1 * 47.5)


def test_a_texture_is_broadband_smooth_and_centred() -> None:
    image = synthetic.texture((256, 256), seed=2).astype(float)
    assert image.mean() == pytest.approx(128, abs=8)
    # clipping and a finite window take some
    assert image.std() == pytest.approx(40, rel=0.25)
    spectrum = np.abs(np.fft.fft2((image - image.mean()) * np.hanning(256)[:, None])) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    share = [
        spectrum[(frequency >= low) & (frequency < 2 * low)].sum() / spectrum.sum()
        for low in (1 / 64, 1 / 32, 1 / 16, 1 / 8)
    ]
    assert min(share) > 0.02  # something in every octave
    assert spectrum[frequency > 1 / 3].sum() / spectrum.sum() < 0.01  # nothing near aliasing
    assert not np.array_equal(synthetic.texture((9, 9), seed=1), synthetic.texture((9, 9), seed=2))
    assert np.array_equal(synthetic.texture((9, 9), seed=1), synthetic.texture((9, 9), seed=1))


def test_the_area_of_a_disc_does_not_depend_on_its_position() -> None:
    for centre in ((30, 30), (30.3, 29.6), (30.5, 30.5)):
        cover = disc_cover(centre, 12, size=(60, 60))
        # a pixel's ramp adds a sliver: pi/12
        assert cover.sum() == pytest.approx(np.pi * 144, rel=0.005)


def test_flow_of_opencv_agrees_with_the_truth() -> None:
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for name, make in MOTIONS.items():
        first, second, truth = make(3)
        found = np.moveaxis(method.calc(first[0], second[0], np.zeros((96, 128, 2), "f4")), -1, 0)
        error = np.hypot(*(found - truth[0]))
        # a good method's error is a small part of a pixel; a wrong sign or axis costs several
        assert np.median(error) < 0.2, name


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"matrix": [[1, 0, 0], [0, 1, 0]]}, ShapeError, "matrix: got shape"),
        ({"shift": (1, 2, 3)}, ShapeError, "shift: got shape"),
        ({"matrix": [[1, 1], [1, 1]]}, ParameterError, "expected one with an inverse"),
    ],
)
def test_invalid_motion_is_refused(
    values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        synthetic.affine(**values)


@pytest.mark.parametrize(
    "values", [{"contrast": -1.0}, {"finest": 2.0}, {"finest": 9.0, "coarsest": 8.0}]
)
def test_an_invalid_texture_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="texture: got contrast"):
        synthetic.texture((8, 8), seed=0, **values)
