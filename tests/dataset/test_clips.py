"""Clips of real stacks: the right moments, labels, shapes; the same however they are read."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream.dataset.augmentations.corner_crop import CornerCrop
from flowstream.dataset.augmentations.flips import HorizontalFlip
from flowstream.dataset.augmentations.random_crop import RandomCrop
from flowstream.dataset.clips import Item, StackClips
from flowstream.dataset.protocol import test_transform, train_transform
from flowstream.dataset.split import Sample
from flowstream.dataset.transforms import Step, TenCrop
from flowstream.dataset.window import Window
from flowstream.errors import ShapeError, SplitError, StackError
from flowstream.extract import ExtractSettings, RunOptions, extract, plan
from flowstream.flow.dis import DIS
from flowstream.flow.motion import warp
from flowstream.video import Sampling
from tests.dataset.cut import flow_clips, only, rgb_clips

Stacks = Callable[..., tuple[Sample, ...]]
PLAIN: tuple[Step, ...] = ()


def moments(values: NDArray[np.float32]) -> list[int]:
    """The fields that a plain flow clip shows, after checking that nothing is mixed up in it."""
    dx, dy = values
    assert (dx == dx[:, :1, :1]).all()
    assert ((dy - dx) % 100 == 0).all()
    return [int(k) for k in dx[:, 0, 0]]


def greys(values: NDArray[np.float32]) -> list[int]:
    """The frames that a plain RGB clip shows."""
    return [round(float(frame.mean()) / 5) for frame in values.swapaxes(0, 1)]


def equal(one: Item, other: Item) -> bool:
    return (
        one[1:] == other[1:]
        and one.inputs.keys() == other.inputs.keys()
        and all(np.array_equal(one.inputs[name], other.inputs[name]) for name in one.inputs)
    )


def test_testing_takes_consecutive_fields_evenly_spaced(stacks: Stacks) -> None:
    clips = flow_clips(stacks(30, 45), Window(5, segments=3), PLAIN, training=False)
    assert (len(clips), clips.views, clips.shapes) == (2, 3, {"flow": (2, 5, 12, 16)})
    item = clips[1]
    assert only(item).shape == (3, 2, 5, 12, 16)
    assert only(item).dtype == np.float32
    assert (item.label, item.sample) == (1, 1)
    starts = clips.window.starts(45, None)
    assert [moments(view) for view in only(item)] == [list(range(s, s + 5)) for s in starts]
    assert only(item)[0, 1, 0, 0, 0] == 100 + starts[0]  # dy says that it is video 1


def test_fields_can_be_taken_a_step_apart(stacks: Stacks) -> None:
    clips = flow_clips(stacks(20), Window(4, step=3), PLAIN, training=False)
    assert moments(only(clips[0])[0]) == [5, 8, 11, 14]


@pytest.mark.parametrize(
    ("frames", "expected"), [(1, [10]), (4, [8, 9, 10, 11]), (10, list(range(5, 15)))]
)
def test_rgb_frames_stand_in_the_middle_of_the_flow_window(
    frames: int, expected: list[int], stacks: Stacks
) -> None:
    samples, window = stacks(20), Window(10)
    flow = flow_clips(samples, window, PLAIN, training=False)
    rgb = rgb_clips(samples, window, PLAIN, training=False, frames=frames)
    assert moments(only(flow[0])[0]) == list(range(5, 15))
    assert rgb.shapes == {"rgb": (3, frames, 12, 16)}
    assert greys(only(rgb[0])[0]) == expected


def test_training_draws_other_moments_in_each_epoch(stacks: Stacks) -> None:
    clips = flow_clips(stacks(12), Window(5), PLAIN, training=True, seed=3)
    seen = set()
    for epoch in range(60):
        clips.set_epoch(epoch)
        item = clips[0]
        assert only(item).shape == (2, 5, 12, 16)
        fields = moments(only(item))
        assert fields == list(range(fields[0], fields[0] + 5))
        seen.add(fields[0])
    # 8 places: one is missed with probability 8 * (7/8)^60, below 0.3 %; the seed is fixed.
    assert seen == set(range(8))


def test_both_streams_see_one_moment_and_one_crop(stacks: Stacks) -> None:
    samples, window = stacks(40, 30, size=(40, 56)), Window(6)
    arguments = {"training": True, "seed": 8}
    flow = flow_clips(samples, window, (RandomCrop((20, 30)),), **arguments)  # type: ignore[arg-type]
    rgb = rgb_clips(samples, window, (RandomCrop((20, 30)),), frames=6, **arguments)  # type: ignore[arg-type]
    assert greys(only(rgb[1])) == moments(only(flow[1]))
    rolled = rgb_clips(samples, window, (RandomCrop((20, 30)),), frames=1, **arguments)  # type: ignore[arg-type]
    assert greys(only(rolled[1])) == [moments(only(flow[1]))[3]]


def test_temporal_segments_share_crop_and_flip(stacks: Stacks) -> None:
    samples = stacks(40, size=(40, 56))
    steps = train_transform(24)
    clips = flow_clips(samples, Window(1, segments=4), steps, training=True)
    for epoch in range(10):
        clips.set_epoch(epoch)
        values = only(clips[0])
        assert values.shape == (4, 2, 1, 24, 24)
        # dx and dy are the field's number, scaled as columns and rows are, dx negated by a flip.
        dx, dy = values[1:, 0, 0, 0, 0], values[1:, 1, 0, 0, 0]
        assert (dy > 0).all()
        np.testing.assert_allclose(dx / dy, dx[0] / dy[0], rtol=1e-5)  # float32


@pytest.mark.parametrize("training", [True, False])
def test_a_video_shorter_than_the_window_is_looped(training: bool, stacks: Stacks) -> None:
    samples, window = stacks(1, 3), Window(8)
    flow = flow_clips(samples, window, PLAIN, training=training)
    rgb = rgb_clips(samples, window, PLAIN, training=training, frames=8)
    for index, expected in ((0, [0] * 8), (1, [0, 1, 2, 0, 1, 2, 0, 1])):
        assert moments(only(flow[index]).reshape(2, 8, 12, 16)) == expected
        assert greys(only(rgb[index]).reshape(3, 8, 12, 16)) == expected
    middle = rgb_clips(samples, window, PLAIN, training=training)
    assert greys(only(middle[1]).reshape(3, 1, 12, 16)) == [4 % 3]


def test_views_are_segments_times_crops(stacks: Stacks) -> None:
    window = Window(2, segments=3)
    clips = flow_clips(stacks(30), window, (TenCrop((8, 8)),), training=False)
    assert (clips.views, clips.shapes) == (30, {"flow": (2, 2, 8, 8)})
    values = only(clips[0])
    assert values.shape == (30, 2, 2, 8, 8)
    for segment, start in enumerate(window.starts(30, None)):
        ten = values[10 * segment : 10 * segment + 10]
        assert (ten[:5, 0, 0] == start).all()
        assert (ten[5:, 0, 0] == -start).all()


def test_transforms_of_a_recipe_return_the_shape_that_the_model_takes(stacks: Stacks) -> None:
    samples = stacks(20, size=(40, 56))
    for clips in (flow_clips, rgb_clips):
        steps = train_transform((32, 24), mean_flow=True)
        item = clips(samples, Window(), steps, training=True)[0]
        assert only(item).shape[2:] == (32, 24)
        steps = test_transform(48, crops=10, mean_flow=True)
        item = clips(samples, Window(segments=2), steps, training=False)[0]
        assert only(item).shape[0] == 20
        assert only(item).shape[3:] == (48, 48)
        assert only(item).dtype == np.float32
        assert only(item).flags.c_contiguous


def test_items_depend_on_seed_epoch_and_index_alone(stacks: Stacks) -> None:
    samples, steps = stacks(40, 40, 40, size=(20, 24)), train_transform(16)

    def make(seed: int) -> StackClips:
        return flow_clips(samples, Window(5), steps, training=True, seed=seed)

    clips, other = make(1), make(1)
    backwards = [other[index] for index in (2, 1, 0)][::-1]
    assert all(equal(one, two) for one, two in zip(clips, backwards, strict=True))
    first = list(clips)
    clips.set_epoch(1)
    assert not any(equal(one, two) for one, two in zip(clips, first, strict=True))
    clips.set_epoch(0)
    assert all(equal(one, two) for one, two in zip(clips, first, strict=True))
    assert not any(equal(one, two) for one, two in zip(make(2), first, strict=True))
    tested = flow_clips(samples, Window(5), steps, training=False)
    before = tested[0]
    tested.set_epoch(7)
    assert equal(tested[0], before)


def item_of(clips: StackClips, index: int) -> Item:
    return clips[index]


# From Python 3.12 on, forking a process that has threads (torch's, OpenCV's) warns.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_clips_are_the_same_in_another_process(method: str, stacks: Stacks) -> None:
    clips = flow_clips(stacks(20, 20, 20), Window(5), PLAIN, training=True)
    here = [clips[index] for index in range(3)]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        there = list(pool.map(item_of, [clips] * 3, range(3)))
    assert all(equal(one, two) for one, two in zip(here, there, strict=True))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_number_of_loader_workers_changes_nothing(stacks: Stacks) -> None:
    torch = pytest.importorskip("torch")
    clips = rgb_clips(stacks(*[20] * 6), Window(5), PLAIN, training=True)
    batches = [
        list(torch.utils.data.DataLoader(clips, batch_size=2, num_workers=workers))
        for workers in (0, 2)
    ]
    for alone, shared in zip(*batches, strict=True):
        assert isinstance(alone, Item)
        assert alone.inputs["rgb"].shape == (2, 3, 1, 12, 16)
        assert alone.inputs["rgb"].dtype == torch.float32
        assert torch.equal(alone.sample, shared.sample)
        assert torch.equal(alone.label, shared.label)
        assert torch.equal(alone.inputs["rgb"], shared.inputs["rgb"])


def test_an_open_data_set_can_be_pickled(stacks: Stacks) -> None:
    clips = flow_clips(stacks(20), Window(5), PLAIN, training=False)
    item = clips[0]
    copy = pickle.loads(pickle.dumps(clips))
    assert equal(copy[0], item)
    assert copy.spec == clips.spec


def test_the_flow_of_a_real_clip_carries_each_frame_to_the_next(
    shared_data: Path, tmp_path: Path
) -> None:
    video = "ucf101/videos/BasketballDunk/v_BasketballDunk_g01_c01.mp4"
    settings = ExtractSettings(DIS(), Sampling(short_side=96))
    extract(
        plan([shared_data / video], tmp_path), settings, tmp_path, options=RunOptions(workers=1)
    )
    samples = (Sample("dunk", 0, "g01", tmp_path / "v_BasketballDunk_g01_c01.h5"),)
    steps = (CornerCrop((96, 96)), HorizontalFlip())
    flow = flow_clips(samples, Window(6), steps, training=True)
    rgb = rgb_clips(samples, Window(6), steps, training=True, frames=6)
    for epoch in range(6):
        flow.set_epoch(epoch)
        rgb.set_epoch(epoch)
        fields, frames = only(flow[0]), np.moveaxis(only(rgb[0]), 0, 3)
        left = []
        for factor in (1, 0, -1):
            told = np.ascontiguousarray(
                fields * np.array([factor, 1], np.float32)[:, None, None, None]
            )
            errors = []
            for t in range(5):
                carried, valid = warp(np.ascontiguousarray(frames[t + 1]), told[:, t].copy())
                errors.append(np.abs(carried - frames[t])[valid].mean())
            left.append(np.mean(errors))
        # The camera pans: with dx left out, or of the wrong sign, frames do not match.
        assert left[0] < left[1] < left[2]


def test_a_stack_made_otherwise_is_named_with_what_differs(stacks: Stacks) -> None:
    samples = (*stacks(9, 9), *stacks(9, method="other", folder="more"))
    with pytest.raises(
        StackError,
        match=r"more/0.h5: .* than .*stacks/0.h5: method.name.*'other'.*'known'.*extract all",
    ):
        flow_clips(samples, Window(5), PLAIN, training=False)
    mixed = (*stacks(9), *stacks(9, size=(12, 18), folder="wide"))
    with pytest.raises(
        StackError, match=r"wide/0.h5: .*size: this: \[12, 18\], first: \[12, 16\]; .*--size gives"
    ):
        flow_clips(mixed, Window(5), PLAIN, training=False)


def test_invalid_datasets_are_refused_before_the_first_item(stacks: Stacks) -> None:
    samples = stacks(9, rgb=False)
    assert flow_clips(samples, Window(5), PLAIN, training=False).spec.size == (12, 16)
    with pytest.raises(StackError, match=r"0.h5: no RGB frames.*--rgb"):
        rgb_clips(samples, Window(5), PLAIN, training=False)
    with pytest.raises(ShapeError, match=r"crop: got rows 0 to 13.*12 rows"):
        flow_clips(samples, Window(5), (RandomCrop((13, 4)),), training=True)
    with pytest.raises(SplitError, match="no videos to read clips from"):
        flow_clips((), Window(5), PLAIN, training=True)
    samples[0].path.write_bytes(b"")
    with pytest.raises(StackError, match=r"0\.h5"):
        flow_clips(samples, Window(5), PLAIN, training=False)


def test_an_index_outside_is_refused(stacks: Stacks) -> None:
    clips = flow_clips(stacks(9), Window(5), PLAIN, training=False)
    for index in (1, -1):
        with pytest.raises(IndexError, match=f"got index {index} of 1 samples"):
            clips[index]
