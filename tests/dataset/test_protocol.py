"""What training and testing do to a clip, from a recipe's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.dataset.clip import Clip
from flowstream.dataset.protocol import test_transform, train_transform
from flowstream.dataset.transforms import ColourJitter, Normalise, SubtractMeanFlow, apply
from flowstream.errors import ParameterError

FLOW = Clip("flow", np.random.default_rng(0).normal(3, 2, (2, 4, 128, 170)).astype(np.float32))
RGB = Clip("rgb", np.random.default_rng(1).integers(0, 256, (3, 4, 128, 170), np.uint8))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("clip", [FLOW, RGB], ids=lambda clip: clip.kind)
@pytest.mark.parametrize("size", [112, 224, (96, 128)])
def test_clips_come_out_at_the_models_size(clip: Clip, size: int | tuple[int, int]) -> None:
    expected = (size, size) if isinstance(size, int) else size
    (trained,) = apply(train_transform(clip.kind, size, jitter=0.2), clip, rng())
    assert trained.size == expected
    assert trained.values.dtype == np.float32
    for crops in (1, 5, 10):
        tested = apply(test_transform(clip.kind, size, crops=crops), clip, rng())
        assert [view.size for view in tested] == [expected] * crops
        assert all(view.values.dtype == np.float32 for view in tested)


def test_the_test_crop_is_the_middle_at_the_scale_of_the_model() -> None:
    (view,) = apply(test_transform("flow", 112, bound=10), FLOW, rng())
    # 128 rows are 8/7 of 112: nothing is resized, so vectors are only divided by the bound.
    middle = FLOW.values[..., 8:120, 29:141]
    np.testing.assert_allclose(view.values, middle / 10, rtol=1e-6)
    (large,) = apply(test_transform("flow", 224, bound=10), FLOW, rng())
    # Twice the size, twice the vectors; interpolation keeps the mean but for the border's weight.
    assert abs(large.values.mean() / view.values.mean() - 2) < 0.02


def test_mean_flow_is_that_of_the_whole_frame() -> None:
    clip = Clip("flow", np.zeros((2, 1, 128, 170), np.float32))
    clip.values[..., :8, :] = 16  # above the test crop; the frame's mean is 1
    (view,) = apply(test_transform("flow", 112, mean_flow=True, bound=1), clip, rng())
    np.testing.assert_allclose(view.values, -1, rtol=1e-5)  # float32 mean of 21760 values
    (view,) = apply(train_transform("flow", 128, mean_flow=True, scales=(1.0,)), clip, rng())
    # The largest square is as high as the frame, wherever it is.
    np.testing.assert_allclose(view.values.mean(), 0, atol=1e-6)


def test_each_kind_gets_only_the_steps_that_are_for_it() -> None:
    rgb = train_transform("rgb", 112, mean_flow=True, jitter=0.4, bound=7)
    flow = train_transform("flow", 112, mean_flow=True, jitter=0.4, bound=7)
    assert [type(step) for step in rgb if step not in flow] == [ColourJitter]
    assert [type(step) for step in flow if step not in rgb] == [SubtractMeanFlow]
    assert rgb[-1] == flow[-1] == Normalise(7)
    # Jitter is drawn last, so that both streams still get one crop and flip.
    assert isinstance(rgb[-2], ColourJitter)


@pytest.mark.parametrize("crops", [0, 2, 3])
def test_other_numbers_of_crops_are_refused(crops: int) -> None:
    with pytest.raises(ParameterError, match=f"crops: got {crops}, expected one of: 1, 5, 10"):
        test_transform("flow", 112, crops=crops)
