"""Rendered scenes: their ground truth explains their frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowstream.errors import ParameterError
from flowstream.flow import motion
from flowstream.synthetic.scenes import Camera, make_scene

SIZE = (96, 128)
SHARP = Camera(shutter=0.0, noise=0.0)


@pytest.mark.parametrize("kind", ["objects", "figures"])
def test_the_true_flow_fetches_the_first_frame_from_the_second(kind: Any) -> None:
    scene = make_scene(kind, seed=3, size=SIZE, camera=SHARP)
    fetched, valid = motion.warp(scene.second, scene.vectors)
    seen = valid & ~scene.covered
    difference = np.abs(fetched.astype(float) - scene.first)[seen]
    still = np.abs(scene.second.astype(float) - scene.first)[seen]
    assert seen.mean() > 0.5
    # mixed pixels at the edges of shapes differ; the others by interpolation only
    assert np.median(difference) <= 2
    assert difference.mean() < 0.5 * still.mean()


def test_the_same_seed_gives_the_same_scene_and_another_seed_another_one() -> None:
    one, same, other = (make_scene("figures", seed=seed, size=SIZE) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.first, same.first)
    np.testing.assert_array_equal(one.vectors, same.vectors)
    assert not np.array_equal(one.first, other.first)


def test_figures_have_slow_backgrounds_and_fast_small_parts() -> None:
    speeds = [
        np.hypot(*make_scene("figures", seed=seed, size=SIZE, camera=SHARP).vectors)
        for seed in range(4)
    ]
    assert max(speed.max() for speed in speeds) > 8
    assert all(np.median(speed) < 6 for speed in speeds)


def test_gain_shutter_and_noise_change_frames_but_not_the_truth() -> None:
    plain = make_scene("figures", seed=8, size=SIZE, camera=SHARP)
    camera = Camera(shutter=0.8, noise=4.0, gain=1.2)
    disturbed = make_scene("figures", seed=8, size=SIZE, camera=camera)
    np.testing.assert_array_equal(plain.vectors, disturbed.vectors)
    gain = disturbed.second.mean() / plain.second.mean()
    assert 1.1 < gain < 1.3


def test_pictures_are_used_as_textures() -> None:
    picture = np.full((40, 50), 200, np.uint8)
    scene = make_scene("objects", seed=1, size=SIZE, camera=SHARP, pictures=[picture])
    # without noise or polygons only the levels of the layers differ
    assert len(np.unique(scene.first)) < 150
    assert scene.first.shape == SIZE


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ParameterError, match="objects, figures"):
        make_scene("chairs", seed=0)  # type: ignore[arg-type]
