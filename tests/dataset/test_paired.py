"""RGB and flow of the same moments in one item."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from flowstream.dataset.clips import StackClips
from flowstream.dataset.inputs.flow import Flow
from flowstream.dataset.inputs.rgb import Rgb
from flowstream.dataset.inputs.rgb_difference import RgbDifference
from flowstream.dataset.protocol import test_transform, train_transform
from flowstream.dataset.split import Sample
from flowstream.dataset.transforms import Normalise
from flowstream.dataset.window import Window
from flowstream.errors import ParameterError
from tests.dataset.cut import flow_clips, only, rgb_clips

Stacks = Callable[..., tuple[Sample, ...]]
SCALE = Normalise(1.0)


def paired(samples: tuple[Sample, ...], *, training: bool, segments: int = 1) -> StackClips:
    transform = (
        train_transform(8, normalise=SCALE)
        if training
        else test_transform(8, crops=10, normalise=SCALE)
    )
    inputs = {"rgb": Rgb(), "flow": Flow()}
    window = Window(length=4, segments=segments)
    return StackClips(samples, window, inputs, transform=transform, training=training, seed=3)


@pytest.mark.parametrize("training", [True, False])
def test_an_item_has_both_inputs_as_each_alone_would_be(stacks: Stacks, training: bool) -> None:
    clips = paired(stacks(9, 6), training=training, segments=2)
    options = {"training": training, "seed": 3}
    rgb = rgb_clips(clips.samples, clips.window, clips.transform, **options)  # type: ignore[arg-type]
    flow = flow_clips(clips.samples, clips.window, clips.transform, **options)  # type: ignore[arg-type]
    item = clips[1]
    assert list(item.inputs) == ["rgb", "flow"]
    assert clips.shapes == {"rgb": (3, 1, 8, 8), "flow": (2, 4, 8, 8)}
    np.testing.assert_array_equal(item.inputs["rgb"], only(rgb[1]))
    np.testing.assert_array_equal(item.inputs["flow"], only(flow[1]))
    assert (item.label, item.sample) == (1, 1)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_both_take_the_same_moment_crop_and_flip(stacks: Stacks, epoch: int) -> None:
    """The image of frame t is grey 5 t, and field k has dx = k: the middle frame is field + 2."""
    clips = paired(stacks(12), training=True)
    clips.set_epoch(epoch)
    rgb, flow = clips[0].inputs["rgb"], clips[0].inputs["flow"]
    first = np.abs(flow[0, 0]).mean()  # scaled with the crop, negated by a flip
    step = np.abs(flow[0, 1]).mean() - first  # what one field more is: the crop's scale
    moment = round(float(first / step))
    grey = (rgb * [[[[0.229]]], [[[0.224]]], [[[0.225]]]]).mean() * 255
    grey += np.mean([0.485, 0.456, 0.406]) * 255
    # 2: JPEG's rounding of a flat grey, and the means of three channels
    assert abs(grey - 5 * (moment + 2)) < 2


def test_epochs_draw_other_moments_or_crops_for_both(stacks: Stacks) -> None:
    clips = paired(stacks(40), training=True)
    before = clips[0].inputs
    clips.set_epoch(1)
    after = clips[0].inputs
    assert not np.array_equal(before["rgb"], after["rgb"])
    assert not np.array_equal(before["flow"], after["flow"])


def test_differences_of_frames_are_those_of_successive_images(stacks: Stacks) -> None:
    window = Window(length=5, step=2)
    inputs = {"rgb_difference": RgbDifference(4)}
    clips = StackClips(stacks(20), window, inputs, training=False)
    values = only(clips[0])[0]
    assert values.shape == (3, 4, 12, 16)
    # frame t is grey 5 t and frames are 2 apart; 2: JPEG's rounding of two flat greys
    np.testing.assert_allclose(values, 10, atol=2)
    (scaled,) = StackClips(stacks(20), window, inputs, transform=(Normalise(),), training=False)[
        0
    ].inputs["rgb_difference"]
    np.testing.assert_allclose(scaled[0], values[0] / 255 / 0.229, rtol=1e-5)


def test_an_item_without_input_is_refused(stacks: Stacks) -> None:
    with pytest.raises(ParameterError, match="inputs: got none"):
        StackClips(stacks(9), Window(4), {}, training=False)
