"""Transforms: each alike for both kinds and all frames, repeatable, and as its paper has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.dataset.augmentations.colour_jitter import ColourJitter
from flowstream.dataset.augmentations.corner_crop import CornerCrop
from flowstream.dataset.augmentations.flips import HorizontalFlip, VerticalFlip
from flowstream.dataset.augmentations.random_crop import RandomCrop
from flowstream.dataset.clip import Clip, Kind
from flowstream.dataset.transforms import (
    Cover,
    FiveCrop,
    Normalise,
    Step,
    SubtractMeanFlow,
    TenCrop,
    ThreeCrop,
    apply,
)
from flowstream.errors import ParameterError, ShapeError
from tests.dataset.noise import COLUMNS, GEOMETRIC, ROWS, noise, rng

EVERY: list[Step] = [
    *GEOMETRIC,
    SubtractMeanFlow(),
    ColourJitter(),
    Normalise(),
    FiveCrop((40, 50)),
    TenCrop((40, 50)),
    ThreeCrop((40, 50)),
]
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", ["rgb", "flow"])
@pytest.mark.parametrize("step", EVERY, ids=lambda step: type(step).__name__)
def test_steps_are_deterministic_and_do_not_change_their_input(step: Step, kind: Kind) -> None:
    clip = noise(kind)
    clip.values.setflags(write=False)
    before = clip.values.copy()
    once, again = (apply([step], clip, rng(5)) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        assert one.kind == kind
        assert one.values.shape[:2] == clip.values.shape[:2]
        assert one.values.dtype in (clip.values.dtype, np.float32)
        np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(clip.values, before)


@pytest.mark.parametrize("kind", ["rgb", "flow"])
@pytest.mark.parametrize("step", EVERY, ids=lambda step: type(step).__name__)
def test_all_frames_of_a_clip_are_transformed_alike(step: Step, kind: Kind) -> None:
    one = noise(kind, frames=1)
    same = Clip(kind, np.repeat(one.values, 3, axis=1))
    for single, triple in zip(apply([step], one, rng(1)), apply([step], same, rng(1)), strict=True):
        # The mean over three equal frames, summed in another order, differs by float32 rounding.
        for frame in range(3):
            np.testing.assert_allclose(
                triple.values[:, frame], single.values[:, 0], rtol=1e-5, atol=1e-4
            )


@given(SEEDS)
def test_rgb_and_flow_get_the_same_crop_and_flip(seed: int) -> None:
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    rgb = Clip("rgb", np.stack([x, y, y])[:, None])
    # dx of a flip is negated: a flow of |x|, made positive again, is comparable.
    flow = Clip("flow", np.stack([x, y])[:, None])
    steps = [CornerCrop((50, 40)), HorizontalFlip(), VerticalFlip(), RandomCrop((33, 22))]
    (seen,), (told,) = apply(steps, rgb, rng(seed)), apply(steps, flow, rng(seed))
    scale = [np.median(np.abs(told.values[c]) / np.maximum(seen.values[c], 1e-3)) for c in (0, 1)]
    for component in (0, 1):
        np.testing.assert_allclose(
            np.abs(told.values[component]),
            seen.values[component] * scale[component],
            rtol=1e-4,
            atol=1e-3,
        )


@given(SEEDS, st.integers(1, ROWS), st.integers(1, COLUMNS))
def test_a_random_crop_lies_inside(seed: int, rows: int, columns: int) -> None:
    values = np.arange(3 * ROWS * COLUMNS).reshape(3, 1, ROWS, COLUMNS)
    part = RandomCrop((rows, columns))(Clip("rgb", values), rng(seed)).values
    top, left = divmod(int(part[0, 0, 0, 0]), COLUMNS)
    np.testing.assert_array_equal(part, values[..., top : top + rows, left : left + columns])


def test_a_random_crop_comes_from_everywhere() -> None:
    clip = Clip("rgb", np.zeros((3, 1, 4, 5), np.uint8))
    clip.values[0, 0] = np.arange(20).reshape(4, 5)
    generator = rng()
    corners = {int(RandomCrop((2, 3))(clip, generator).values[0, 0, 0, 0]) for _ in range(300)}
    assert corners == {5 * top + left for top in range(3) for left in range(3)}


def test_corner_crops_are_those_of_temporal_segment_networks() -> None:
    """All parts that `GroupMultiScaleCrop` of TSN's code can take, at 256x340, are taken."""
    y, x = np.mgrid[:256, :340].astype(np.float32)
    clip = Clip("rgb", np.stack([x, y, x])[:, None])
    step, generator = CornerCrop((224, 224)), rng()
    # 256 times 1, .875, .75, .66; sides at most one place apart in that list
    pairs = {(a, b) for i, a in enumerate((256, 224, 192, 169)) for j, b in
             enumerate((256, 224, 192, 169)) if abs(i - j) <= 1}  # fmt: skip
    assert set(step.sizes((256, 340))) == pairs
    assert len(step.sizes((256, 340))) == 10
    wanted = set()
    for rows, columns in pairs:
        bottom, right = 256 - rows, 340 - columns
        for top, left in ((0, 0), (0, right), (bottom, 0), (bottom, right)):
            wanted.add((rows, columns, top, left))
        wanted.add((rows, columns, bottom // 2, right // 2))
    seen = set()
    for _ in range(1500):
        part = step(clip, generator).values[:, 0]
        # Coordinates survive linear interpolation inside: the slope is old size over new size.
        across = (part[0, 9, 213] - part[0, 9, 10]) / 203 * 224
        down = (part[1, 213, 9] - part[1, 10, 9]) / 203 * 224
        left = part[0].mean() - (across - 1) / 2
        top = part[1].mean() - (down - 1) / 2
        seen.add(tuple(round(float(v)) for v in (down, across, top, left)))
    # 50 outcomes, each drawn with probability 1/50: one is missed with probability 50 * 0.98^1500.
    assert seen == wanted


def test_five_crops_are_corners_and_centre_and_ten_their_mirror_images() -> None:
    clip = noise("flow")
    five, ten = FiveCrop((40, 50)).views(clip), TenCrop((40, 50)).views(clip)
    corners = [(0, 0), (0, 30), (20, 0), (20, 30), (10, 15)]
    for (top, left), plain, mirrored in zip(corners, ten[:5], ten[5:], strict=True):
        part = (..., slice(top, top + 40), slice(left, left + 50))
        np.testing.assert_array_equal(plain.values, clip.values[part])
        whole = clip.values[..., ::-1] * np.array([-1, 1])[:, None, None, None]
        np.testing.assert_array_equal(mirrored.values, whole[part])
    for one, other in zip(five, ten, strict=False):
        np.testing.assert_array_equal(one.values, other.values)


def test_the_mean_vector_of_each_field_is_taken_away() -> None:
    clip = noise("flow")
    expected = np.empty_like(clip.values)
    for component in range(2):
        for field in range(3):
            plane = clip.values[component, field].astype(np.float64)
            expected[component, field] = plane - plane.sum() / plane.size
    # float32 sums of 4800 values of about 4
    np.testing.assert_allclose(SubtractMeanFlow()(clip, rng()).values, expected, atol=1e-5)
    frames = noise("rgb")
    assert SubtractMeanFlow()(frames, rng()) is frames


def test_normalised_rgb_is_imagenets_and_normalised_flow_keeps_its_zero() -> None:
    grey = Clip("rgb", np.full((3, 1, 2, 2), 128, np.uint8))
    values = Normalise()(grey, rng()).values
    assert values.dtype == np.float32
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        # float32 arithmetic on numbers of unit size
        np.testing.assert_allclose(values[channel], (128 / 255 - mean) / std, rtol=1e-5)
    flow = Clip("flow", np.array([-10, 0, 5, 10], np.float32).reshape(2, 1, 1, 2))
    assert Normalise(bound=10)(flow, rng()).values.ravel().tolist() == [-1, 0, 0.5, 1]


def test_jitter_changes_colour_within_its_range_and_never_flow() -> None:
    flow = noise("flow")
    assert ColourJitter()(flow, rng()) is flow
    grey = Clip("rgb", np.full((3, 2, 4, 4), 100, np.uint8))
    for seed in range(20):
        # On a flat grey clip contrast and saturation have nothing to change.
        values = ColourJitter(0.3, 0.9, 0.9)(grey, rng(seed)).values
        np.testing.assert_allclose(values, values.flat[0], rtol=1e-5)
        assert 70 <= values.flat[0] <= 130
    clip = noise("rgb")
    plain = ColourJitter(0, 0, 0)(clip, rng()).values
    np.testing.assert_allclose(plain, clip.values, atol=1e-3)  # float32 of 0 to 255
    without = ColourJitter(0, 0, 1.0)
    for seed in range(50):
        values = without(clip, rng(seed)).values
        assert values.min() >= 0
        assert values.max() <= 255


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_flips_come_with_their_probability(probability: float) -> None:
    clip, generator = noise("rgb", frames=1), rng()
    step = HorizontalFlip(probability)
    share = np.mean([step(clip, generator) is not clip for _ in range(1000)])
    # Three standard deviations of 1000 draws are below 0.05.
    assert abs(share - probability) < 0.05


def test_cover_keeps_the_aspect_and_just_covers() -> None:
    clip = noise("rgb")
    assert Cover((24, 24), margin=1.0)(clip, rng()).size == (24, 32)
    assert Cover((24, 64), margin=1.0)(clip, rng()).size == (48, 64)
    assert Cover((28, 28))(clip, rng()).size == (32, 43)


@pytest.mark.parametrize(
    ("size", "message"),
    [((61, 10), "crop: got rows 0 to 61.* 60 rows"), ((10, 81), "columns 0 to 81.* 80 col")],
)
def test_a_crop_larger_than_the_clip_is_refused_on_each_axis(
    size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        RandomCrop(size)(noise("rgb"), rng())


def test_senseless_numbers_are_refused() -> None:
    with pytest.raises(ParameterError, match="scales: got"):
        CornerCrop((8, 8), scales=(1.2,))
    with pytest.raises(ParameterError, match="distortion: got -1"):
        CornerCrop((8, 8), distortion=-1)
    with pytest.raises(ParameterError, match="bound: got 0"):
        Normalise(bound=0)
