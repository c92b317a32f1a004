"""Estimation of camera motion with moving objects and with insufficient support."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.flow import motion
from flowstream.flow.camera import Camera, Stabiliser
from flowstream.flow.dis import DIS
from flowstream.flow.tvl1 import TVL1
from flowstream.plugins import provenance
from flowstream.synthetic.texture import random_texture, to_levels
from flowstream.types import Images, Vectors
from flowstream.video import read_frames

SIZE = (192, 256)
MIDDLE = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2])
OWN = (5.0, 3.0)
"""Motion of the object, in pixels."""


def turned(degrees: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


CAMERAS = {
    "still": (np.eye(2), (0.0, 0.0)),
    "pan": (np.eye(2), (6.3, -2.7)),
    "fast pan": (np.eye(2), (-13.0, 4.0)),
    "zoom in": (1.05 * np.eye(2), (0.0, 0.0)),
    "zoom out": (0.95 * np.eye(2), (1.0, 2.0)),
    "turn": (turned(-3), (2.0, 1.0)),
    "turning zoom": (1.03 * turned(1.5), (-4.0, 3.0)),
}


@dataclass(frozen=True, eq=False)
class Scene:
    """A disc that moves by OWN over a background, seen by a moving camera."""

    first: Images
    second: Images
    truth: Vectors
    disc: NDArray[np.bool_]
    homography: NDArray[np.float64]


def scene(matrix: NDArray[np.float64], shift: tuple[float, float], *, seed: int = 0) -> Scene:
    """Render both frames exactly, from analytic textures at the moved positions."""
    generator = np.random.default_rng(seed)
    ground, thing = random_texture(generator), random_texture(generator, finest=5.0)
    offset, own = MIDDLE - matrix @ MIDDLE + shift, np.array(OWN)
    back = np.linalg.inv(matrix).astype(np.float64)
    y, x = np.indices(SIZE, np.float64)
    pixels = np.stack([x, y])
    origins = np.einsum("ij,jyx->iyx", back, pixels - offset[:, None, None])
    before, after = cover(pixels, MIDDLE), cover(origins, MIDDLE + own)
    come = {"matrix": back, "shift": -back @ offset}
    first = (1 - before) * ground.sample(SIZE) + before * thing.sample(SIZE)
    second = (1 - after) * ground.sample(SIZE, **come)
    second += after * thing.sample(SIZE, matrix=back, shift=come["shift"] - own)
    disc = before >= 0.5
    moved = pixels + np.where(disc, own[:, None, None], 0)
    truth = np.einsum("ij,jyx->iyx", matrix, moved) + offset[:, None, None] - pixels
    homography = np.eye(3)
    homography[:2, :2], homography[:2, 2] = matrix, offset
    return Scene(
        to_levels(first + 128), to_levels(second + 128), truth.astype(np.float32), disc, homography
    )


def cover(places: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = np.hypot(places[0] - centre[0], places[1] - centre[1])
    return np.asarray(np.clip(SIZE[0] / 4 + 0.5 - distance, 0, 1), np.float64)


def gap(camera: Camera, homography: NDArray[np.float64]) -> float:
    """Return the largest error of an estimate in the frame, in pixels."""
    fields = (motion.homography_field(found, SIZE) for found in (camera.homography, homography))
    one, other = fields
    return float(np.hypot(*(one - other)).max())


@pytest.mark.parametrize("name", CAMERAS)
def test_camera_motion_is_removed_and_object_motion_kept(name: str) -> None:
    made = scene(*CAMERAS[name])
    vectors = TVL1()(made.first[None], made.second[None])[0]
    camera = Stabiliser()(made.first, made.second, vectors)
    rest = motion.residual(vectors, camera.homography)
    # Background visible in both frames: DIS cannot match pixels that leave it or get covered.
    near = cv2.dilate(made.disc.astype(np.uint8), np.ones((17, 17), np.uint8)).astype(bool)
    ground = motion.warp(made.second, made.truth)[1] & ~near
    # Limits: about one step of the 8-bit codec, 0.157 px, and two steps.
    assert np.hypot(*rest)[ground].mean() <= 0.15
    own = np.hypot(rest[0] - OWN[0], rest[1] - OWN[1])
    assert own[made.disc].mean() <= 0.3
    assert gap(camera, made.homography) < 0.3
    assert camera.inlier_fraction > 0.6


def test_true_flow_gives_the_exact_homography_with_perspective() -> None:
    frame = synthetic.texture(SIZE, seed=4)
    homography = np.array([[1.02, -0.03, 4], [0.03, 0.99, -6], [5e-5, -8e-5, 1]])
    vectors = motion.homography_field(homography, SIZE)
    vectors[:, :60, :90] = 0  # a tenth of the frame moves differently
    camera = Stabiliser(num_features=0)(frame, frame, vectors)
    assert gap(camera, homography) < 0.01  # float32 flow of 1e-6 px, at 800 points
    assert 0.8 < camera.inlier_fraction < 0.95
    assert camera.homography[2, 2] == 1


# SIFT locates features to a fraction of a pixel. ORB locates them to a pixel of a coarser octave
# and ignores 31 px at the border, so the corners, where the error is largest, are extrapolated.
@pytest.mark.parametrize(("features", "pixels"), [("orb", 4.0), ("sift", 0.5)])
def test_matches_alone_find_a_pan_too_large_for_the_flow(features: str, pixels: float) -> None:
    first, second = synthetic.pan(dx=40, dy=-25, size=SIZE, seed=2)
    still = np.zeros((2, *SIZE), np.float32)
    settings = Stabiliser(features=features, num_corners=0)  # type: ignore[arg-type]
    camera = settings(first[0], second[0], still)
    pan = np.eye(3)
    pan[:2, 2] = 40, -25
    assert gap(camera, pan) < pixels


def test_unknown_vectors_are_not_used() -> None:
    made = scene(*CAMERAS["pan"])
    vectors = made.truth.copy()
    vectors[:, ::2] = np.nan
    camera = Stabiliser(num_features=0)(made.first, made.second, vectors)
    assert gap(camera, made.homography) < 0.01
    nothing = np.full_like(vectors, np.nan)
    lost = Stabiliser(num_features=0)(made.first, made.second, nothing)
    assert (lost.num_matches, lost.inlier_fraction) == (0, 0.0)


def is_still(camera: Camera) -> bool:
    return camera.inlier_fraction == 0 and np.array_equal(camera.homography, np.eye(3))


def test_insufficient_support_gives_a_static_camera() -> None:
    frame = synthetic.texture(SIZE, seed=6)
    flat = np.full(SIZE, 128, np.uint8)
    pan = np.full((2, *SIZE), 3, np.float32)
    stabiliser = Stabiliser()
    # without texture there are no correspondences
    assert is_still(stabiliser(flat, flat, pan))
    # random motion
    noise = np.random.default_rng(0).normal(0, 20, (2, *SIZE)).astype(np.float32)
    assert is_still(stabiliser(frame, frame[::-1], noise))
    # texture only in one corner of a uniform frame
    corner = flat.copy()
    corner[:55, :55] = frame[:55, :55]
    camera = stabiliser(corner, corner, pan)
    assert camera.num_matches >= stabiliser.min_matches
    assert is_still(camera)
    # a mirrored image is consistent, but no camera produces it
    x = np.arange(SIZE[1], dtype=np.float32)
    mirrored = np.zeros((2, *SIZE), np.float32)
    mirrored[0] = SIZE[1] - 1 - 2 * x
    assert is_still(Stabiliser(num_features=0)(frame, frame[:, ::-1], mirrored))


def test_a_fit_whose_horizon_crosses_the_frame_is_rejected() -> None:
    frame = synthetic.texture(SIZE, seed=6)
    y, x = np.indices(SIZE, np.float32)
    # x = 200 maps to infinity; the known flow, left of it, fits exactly
    depth = np.where(x < 150, 1 - x / 200, np.nan)
    camera = Stabiliser(num_features=0)(frame, frame, np.stack([x / depth - x, y / depth - y]))
    assert camera.num_matches > 200
    assert is_still(camera)


def test_the_result_depends_only_on_the_pair() -> None:
    made = scene(*CAMERAS["turning zoom"])
    vectors = DIS()(made.first[None], made.second[None])[0]
    stabiliser = Stabiliser()
    kept = made.first.copy(), made.second.copy(), vectors.copy()
    one = stabiliser(made.first, made.second, vectors)
    cv2.setRNGSeed(99)
    other = stabiliser(*kept)
    np.testing.assert_array_equal(one.homography, other.homography)
    assert one.inlier_fraction == other.inlier_fraction
    for array, copy in zip((made.first, made.second, vectors), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_settings_are_plain_data_with_a_name() -> None:
    record = provenance(Stabiliser(features="sift"))
    assert record["name"] == "homography"
    assert record["features"] == "sift"
    assert Stabiliser(**{key: record[key] for key in record if key != "name"}) == Stabiliser(
        features="sift"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": "surf"}, "features: expected one of: orb, sift; got 'surf'"),
        ({"num_features": -1}, "num_features: expected 0 or more, got -1"),
        ({"num_features": 0, "num_corners": 0}, "expected at least one above 0"),
        ({"tolerance": 0}, "tolerance: expected more than 0 pixels, got 0"),
        ({"min_matches": 3}, "min_matches: expected at least 4.* got 3"),
        ({"min_inliers": 1.5}, "min_inliers: expected 0 to 1, got 1.5"),
        ({"min_area": -0.1}, "min_area: .* got -0.1"),
    ],
)
def test_invalid_settings_are_an_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Stabiliser(**settings)  # type: ignore[arg-type]


def test_frames_of_another_size_than_the_flow_are_an_error() -> None:
    frame, field = np.zeros((20, 30), np.uint8), np.zeros((2, 20, 30), np.float32)
    with pytest.raises(ShapeError, match=r"second frame: .* \(20, 30\).* got \(20, 31\), uint8"):
        Stabiliser()(frame, np.zeros((20, 31), np.uint8), field)
    with pytest.raises(ShapeError, match=r"first frame: .* got \(20, 30\), float32"):
        Stabiliser()(frame.astype(np.float32), frame, field)
    with pytest.raises(ShapeError, match=r"vectors: .*, got \(1, 2, 20, 30\)"):
        Stabiliser()(frame, frame, field[None])


def measured(path: Path) -> tuple[float, float, float]:
    """Return the median border speed before and after, and the largest camera step."""
    frames = [frame.luma for frame in islice(read_frames(path), 62)]
    ring = np.ones(frames[0].shape, bool)  # type: ignore[union-attr]
    ring[40:-40, 40:-40] = False
    before, after, steps = [], [], []
    for first, second in zip(frames[:-1:10], frames[1::10], strict=True):
        assert first is not None
        assert second is not None
        vectors = DIS()(first[None], second[None])[0]
        camera = Stabiliser()(first, second, vectors)
        rest = motion.residual(vectors, camera.homography)
        before.append(np.median(np.hypot(*vectors)[ring]))
        after.append(np.median(np.hypot(*rest)[ring]))
        steps.append(np.hypot(*motion.homography_field(camera.homography, first.shape)).max())
    return float(np.mean(before)), float(np.mean(after)), float(max(steps))


@pytest.mark.parametrize(
    "name", ["Biking/v_Biking_g07_c05.mp4", "BasketballDunk/v_BasketballDunk_g01_c01.mp4"]
)
def test_the_background_of_a_following_camera_becomes_static(shared_data: Path, name: str) -> None:
    before, after, _ = measured(shared_data / "ucf101/videos" / name)
    assert before > 1  # the camera follows
    assert after < before / 3


def test_a_camera_on_a_tripod_is_static(shared_data: Path) -> None:
    path = shared_data / "ucf101/videos/BaseballPitch/v_BaseballPitch_g09_c06.mp4"
    before, after, step = measured(path)
    assert before < 0.05
    assert after < 0.05
    assert step < 0.5  # at the frame's corners, in compressed video
