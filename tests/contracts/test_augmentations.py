"""What every augmentation of the table promises."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.dataset.augmentations import AUGMENTATIONS, build_augmentations
from flowstream.dataset.clip import Clip
from flowstream.dataset.transforms import apply
from flowstream.errors import ParameterError

SIZE = (64, 80)
RGB = Clip("rgb", np.random.default_rng(0).integers(0, 256, (3, 4, *SIZE), np.uint8))
FLOW = Clip("flow", np.random.default_rng(1).normal(2, 3, (2, 4, *SIZE)).astype(np.float32))
augmentations = pytest.mark.parametrize("name", list(AUGMENTATIONS))
clips = pytest.mark.parametrize("clip", [RGB, FLOW], ids=["rgb", "flow"])


def augment(name: str, clip: Clip, seed: int) -> Clip:
    try:
        (step,) = build_augmentations([{"name": name}], (48, 48))
    except ParameterError:  # no crop to the size of the input; it keeps the size
        (step,) = build_augmentations([{"name": name}, {"name": "random_crop"}], SIZE)[:1]
    (found,) = apply([step], clip, np.random.default_rng(seed))
    return found


@augmentations
@clips
def test_a_seed_determines_the_result_and_the_given_clip_is_kept(name: str, clip: Clip) -> None:
    before = clip.values.copy()
    found = [augment(name, clip, seed) for seed in (3, 3)]
    assert np.array_equal(found[0].values, found[1].values)
    assert np.array_equal(clip.values, before)
    assert found[0].kind == clip.kind
    assert found[0].values.shape[:2] == clip.values.shape[:2]


@augmentations
def test_rgb_and_flow_of_one_video_keep_one_size(name: str) -> None:
    for seed in range(5):
        assert augment(name, RGB, seed).size == augment(name, FLOW, seed).size


@augmentations
def test_it_is_random(name: str) -> None:
    found = [augment(name, RGB, seed).values for seed in range(24)]
    assert any(not np.array_equal(found[0], other) for other in found[1:])


@augmentations
def test_uniform_flow_stays_uniform_and_no_faster_than_the_enlargement(name: str) -> None:
    uniform = Clip("flow", np.broadcast_to(np.float32(2), (2, 4, *SIZE)).copy())
    for seed in range(5):
        values = augment(name, uniform, seed).values
        assert np.ptp(values, axis=(2, 3)).max() < 1e-4
        assert np.abs(values).max() <= 2 * 48 / 8
