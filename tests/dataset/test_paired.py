"""RGB and flow of the same moments as one clip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from flowstream.dataset.clips import FlowClips, RgbClips
from flowstream.dataset.paired import PairedClips
from flowstream.dataset.protocol import test_transform, train_transform
from flowstream.dataset.split import Sample
from flowstream.dataset.window import Window

Stacks = Callable[..., tuple[Sample, ...]]


def paired(samples: tuple[Sample, ...], *, training: bool, segments: int = 1) -> PairedClips:
    window = Window(length=4, segments=segments)
    if training:
        steps = (train_transform("rgb", 8, jitter=0.2), train_transform("flow", 8, bound=1.0))
    else:
        steps = (test_transform("rgb", 8, crops=10), test_transform("flow", 8, crops=10, bound=1.0))
    rgb, flow = steps
    return PairedClips(
        RgbClips(samples, window, rgb, training=training, seed=3, frames=1),
        FlowClips(samples, window, flow, training=training, seed=3),
    )


def test_a_pair_is_the_frame_and_then_the_fields(stacks: Stacks) -> None:
    clips = paired(stacks(9, 6), training=True)
    item = clips[1]
    assert item.values.shape == (3 + 2 * 4, 1, 8, 8)
    assert item.values.dtype == np.float32
    assert np.array_equal(item.values[:3], clips.rgb[1].values)
    flow = clips.flow[1].values  # (2, L, H, W)
    for field in range(4):
        assert np.array_equal(item.values[3 + 2 * field : 5 + 2 * field, 0], flow[:, field])
    assert (item.label, item.sample) == (clips.flow[1].label, 1)
    assert (len(clips), clips.views, clips.spec) == (2, 1, clips.flow.spec)
    assert clips.samples == clips.rgb.samples


def test_the_views_of_a_video_are_pairs_one_by_one(stacks: Stacks) -> None:
    clips = paired(stacks(9), training=False, segments=3)
    values = clips[0].values
    assert values.shape == (30, 11, 1, 8, 8)
    assert clips.views == 30
    assert np.array_equal(values[:, :3], clips.rgb[0].values)
    assert np.array_equal(values[7, 3:5, 0], clips.flow[0].values[7, :, 0])


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_both_take_the_same_moment_crop_and_flip(stacks: Stacks, epoch: int) -> None:
    """The image of frame t is grey 5 t, and field k has dx = k: the middle frame is field + 2."""
    clips = paired(stacks(12), training=True)
    clips.set_epoch(epoch)
    flow = clips.flow[0].values
    first = np.abs(flow[0, 0]).mean()  # scaled with the crop, negated by a flip
    step = np.abs(flow[0, 1]).mean() - first  # what one field more is: the crop's scale
    moment = round(float(first / step))
    unjittered = RgbClips(
        clips.samples, clips.flow.window, train_transform("rgb", 8), training=True, seed=3, frames=1
    )
    unjittered.set_epoch(epoch)
    grey = (unjittered[0].values * [[[[0.229]]], [[[0.224]]], [[[0.225]]]]).mean() * 255
    grey += np.mean([0.485, 0.456, 0.406]) * 255
    # 2: JPEG's rounding of a flat grey, and the means of three channels
    assert abs(grey - 5 * (moment + 2)) < 2


def test_epochs_draw_other_moments_or_crops_for_both(stacks: Stacks) -> None:
    clips = paired(stacks(40), training=True)
    before = clips[0].values
    clips.set_epoch(1)
    after = clips[0].values
    assert not np.array_equal(before[:3], after[:3])
    assert not np.array_equal(before[3:], after[3:])
