"""What training and testing do to a clip, from a recipe's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowstream.dataset.augmentations import AUGMENTATIONS, build_augmentations
from flowstream.dataset.clip import Clip
from flowstream.dataset.protocol import test_transform, train_transform
from flowstream.dataset.transforms import Normalise, ThreeCrop, apply
from flowstream.errors import ParameterError

FLOW = Clip("flow", np.random.default_rng(0).normal(3, 2, (2, 4, 128, 170)).astype(np.float32))
RGB = Clip("rgb", np.random.default_rng(1).integers(0, 256, (3, 4, 128, 170), np.uint8))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("clip", [FLOW, RGB], ids=lambda clip: clip.kind)
@pytest.mark.parametrize("size", [112, 224, (96, 128)])
def test_clips_come_out_at_the_models_size(clip: Clip, size: int | tuple[int, int]) -> None:
    expected = (size, size) if isinstance(size, int) else size
    (trained,) = apply(train_transform(size), clip, rng())
    assert trained.size == expected
    assert trained.values.dtype == np.float32
    for crops in (1, 3, 5, 10):
        tested = apply(test_transform(size, crops=crops), clip, rng())
        assert [view.size for view in tested] == [expected] * crops
        assert all(view.values.dtype == np.float32 for view in tested)


def test_the_test_crop_is_the_middle_at_the_scale_of_the_model() -> None:
    (view,) = apply(test_transform(112, normalise=Normalise(10)), FLOW, rng())
    # 128 rows are 8/7 of 112: nothing is resized, so vectors are only divided by the bound.
    middle = FLOW.values[..., 8:120, 29:141]
    np.testing.assert_allclose(view.values, middle / 10, rtol=1e-6)
    (large,) = apply(test_transform(224, normalise=Normalise(10)), FLOW, rng())
    # Twice the size, twice the vectors; interpolation keeps the mean but for the border's weight.
    assert abs(large.values.mean() / view.values.mean() - 2) < 0.02


def test_mean_flow_is_that_of_the_whole_frame() -> None:
    clip = Clip("flow", np.zeros((2, 1, 128, 170), np.float32))
    clip.values[..., :8, :] = 16  # above the test crop; the frame's mean is 1
    (view,) = apply(test_transform(112, mean_flow=True, normalise=Normalise(1)), clip, rng())
    np.testing.assert_allclose(view.values, -1, rtol=1e-5)  # float32 mean of 21760 values
    (view,) = apply(
        train_transform(128, mean_flow=True, augment=[{"name": "corner_crop", "scales": [1.0]}]),
        clip,
        rng(),
    )
    # The largest square is as high as the frame, wherever it is.
    np.testing.assert_allclose(view.values.mean(), 0, atol=1e-6)


def test_one_transform_serves_every_kind() -> None:
    jitter = {"name": "colour_jitter"}
    augment = [{"name": "corner_crop"}, {"name": "horizontal_flip"}, jitter]
    steps = train_transform(112, augment=augment, mean_flow=True, normalise=Normalise(7))
    kinds = [type(step).__name__ for step in steps]
    assert kinds == [
        "SubtractMeanFlow",
        "CornerCrop",
        "HorizontalFlip",
        "ColourJitter",
        "Normalise",
    ]
    # The jitter changes RGB alone, and the subtraction flow alone.
    for clip, idle in ((RGB, steps[0]), (FLOW, steps[3])):
        (same,) = apply([idle], clip, rng())
        np.testing.assert_array_equal(same.values, clip.values)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_augmentation_of_the_table_can_be_named_in_a_recipe(name: str) -> None:
    crop = {"name": "corner_crop"}
    steps = build_augmentations([{"name": name}, crop], (24, 32))
    assert isinstance(steps[0], AUGMENTATIONS[name])
    for clip in (RGB, FLOW):
        (seen,) = apply(steps, clip, rng())
        assert seen.size == (24, 32)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([{"name": "horizontal_flip"}], "no crop to 32x24"),
        ([{"name": "corner_crap"}], "'corner_crop'"),
        ([{"p": 0.5}], "a table with a name"),
        ([{"name": "horizontal_flip", "q": 1}, {"name": "corner_crop"}], "q: unknown key"),
        ([{"name": "corner_crop", "scales": [2.0]}], "scales"),
    ],
)
def test_augmentations_that_do_not_fit_are_refused(
    tables: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        build_augmentations(tables, (24, 32))


@pytest.mark.parametrize("crops", [2, 7, -1])
def test_other_numbers_of_crops_are_refused(crops: int) -> None:
    with pytest.raises(ParameterError, match=f"crops: got {crops}"):
        test_transform(112, crops=crops)


def test_three_crops_are_spread_along_the_longer_side() -> None:
    clip = Clip("rgb", np.broadcast_to(np.arange(170, dtype=np.uint8), (3, 1, 128, 170)))
    views = ThreeCrop((112, 112)).views(clip)
    assert [int(view.values[0, 0, 0, 0]) for view in views] == [0, 29, 58]
    tall = Clip("rgb", np.ascontiguousarray(clip.values.swapaxes(2, 3)))
    assert [int(view.values[0, 0, 0, 0]) for view in ThreeCrop((112, 112)).views(tall)] == [
        0,
        29,
        58,
    ]


def test_the_whole_frame_is_one_view() -> None:
    (view,) = apply(test_transform(112, crops=0), FLOW, rng())
    assert view.size == (128, 170)


def test_derived_channels_are_those_of_the_view_that_the_model_sees() -> None:
    steps = test_transform(112, crops=10, channels=("magnitude", "strain"), normalise=Normalise(1))
    views = apply(steps, FLOW, rng())
    assert len(views) == 10
    for view in views:
        assert view.values.shape == (4, 4, 112, 112)
        np.testing.assert_allclose(
            view.values[2], np.hypot(view.values[0], view.values[1]), rtol=1e-6
        )
        assert (view.values[3] >= 0).all()
    # the mirror image of the top right part is the top left part of the mirror image
    np.testing.assert_allclose(views[5].values[3], views[1].values[3][..., ::-1], rtol=1e-4)
