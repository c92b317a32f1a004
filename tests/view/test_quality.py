"""Quality without a truth, on motions that are known all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flowstream import synthetic
from flowstream.codec.centred8 import Centred8
from flowstream.codec.float32 import Float32
from flowstream.errors import ParameterError, VideoError
from flowstream.flow import motion
from flowstream.flow.dis import DIS
from flowstream.flow.farneback import Farneback
from flowstream.flow.method import FlowMethod, as_luma
from flowstream.store import Stack, open_stack
from flowstream.video import Sampling
from flowstream.view.quality import (
    FieldQuality,
    QualityCounter,
    as_record,
    stack_quality,
    summarise,
    video_quality,
)
from tests.small_stack import write_fields

SIZE = (48, 64)
DX, DY = 3, -2
Images = NDArray[np.uint8]
Fields = NDArray[np.float32]


def panned(count: int, *, seed: int = 1) -> Images:
    """Frames (T, H, W) of a texture that moves by (3, -2) a step, whole pixels: exactly."""
    rows, columns = SIZE
    spare = (rows + 2 * count, columns + 3 * count)
    wide = synthetic.texture(spare, seed=seed)
    return np.stack(
        [
            wide[2 * t : 2 * t + rows, 3 * (count - t) : 3 * (count - t) + columns]
            for t in range(count)
        ]
    )


def pan(count: int) -> Fields:
    fields = np.empty((count, 2, *SIZE), np.float32)
    fields[:, 0], fields[:, 1] = DX, DY
    return fields


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Stack]:
    """`write(fields)` is an opened stack of the panned frames with those fields."""

    def make(
        fields: Fields,
        *,
        rgb: bool = True,
        back: Fields | None = None,
        codec: Centred8 | Float32 = Float32(),  # noqa: B008 - frozen
        cameras: NDArray[np.float64] | None = None,
    ) -> Stack:
        items: dict[str, NDArray[Any]] = {}
        if back is not None:
            items["flow_backward"] = back
        if cameras is not None:
            items |= {"homography": cameras, "inliers": np.ones(len(fields), np.float32)}
        path = write_fields(
            tmp_path / f"{len(list(tmp_path.iterdir()))}.h5",
            fields,
            images=panned(len(fields) + 1) if rgb else None,
            quality=100,
            codec=codec,
            step=2,
            rate=10.0,
            items=items,
            stabiliser=None if cameras is None else {"name": "known"},
        )
        return open_stack(path)

    return make


Write = Callable[..., Stack]


def test_the_right_flow_carries_each_frame_onto_the_next_and_back(write: Write) -> None:
    with write(pan(5), back=-pan(5)) as stack:
        fields = list(stack_quality(stack))
    assert [field.field for field in fields] == [0, 1, 2, 3, 4]
    assert [field.frame for field in fields] == [0, 2, 4, 6, 8]
    assert [field.time for field in fields] == [0.0, 0.1, 0.2, 0.3, 0.4]
    frames = panned(6).astype(float)
    share = (SIZE[0] - 2) * (SIZE[1] - 3) / (SIZE[0] * SIZE[1])
    for field, first, second in zip(fields, frames[:-1], frames[1:], strict=True):
        assert field.error is not None
        assert field.unmoved is not None
        # a level: JPEG at its best quality rounds both
        assert field.error < 1
        still = np.abs(second - first)[2:, :-3].mean()  # dx right and dy up lead out there
        assert field.unmoved == pytest.approx(still, abs=1)
        assert field.inside == pytest.approx(share)
        assert field.consistent == pytest.approx(share)
        assert field.clipped == 0


def test_errors_are_those_of_a_slow_look_at_each_pixel(write: Write) -> None:
    drawn = np.random.default_rng(3).integers(-4, 5, (2, 2, *SIZE)).astype(np.float32)
    with write(drawn) as stack:
        images = [stack.rgb(t) for t in range(3)]
        fields = list(stack_quality(stack))
    weights = np.array([0.299, 0.587, 0.114])
    lumas = [np.rint(image @ weights) for image in images]
    for k, field in enumerate(fields):
        error, unmoved = [], []
        for y, x in np.ndindex(*SIZE):
            to_x, to_y = x + int(drawn[k, 0, y, x]), y + int(drawn[k, 1, y, x])
            if 0 <= to_x < SIZE[1] and 0 <= to_y < SIZE[0]:
                error.append(abs(lumas[k + 1][to_y, to_x] - lumas[k][y, x]))
                unmoved.append(abs(lumas[k + 1][y, x] - lumas[k][y, x]))
        assert field.inside == len(error) / (SIZE[0] * SIZE[1])
        # OpenCV's fixed-point luma differs from rounding in a few pixels, by one level
        assert field.error == pytest.approx(np.mean(error), abs=0.05)
        assert field.unmoved == pytest.approx(np.mean(unmoved), abs=0.05)


def test_the_two_worst_fields_are_named_the_worst_first(write: Write) -> None:
    fields = pan(6)
    fields[1, 0] += 1.5
    fields[4, 0] -= 6
    with write(fields) as stack:
        judged = list(stack_quality(stack))
        summary = summarise(stack_quality(stack))
    assert [field.field for field in summary.worst] == [4, 1]
    assert summary.worst == (judged[4], judged[1])
    assert summary.fields == 6
    for name in ("error", "unmoved", "inside", "textured", "clipped"):
        values = [getattr(field, name) for field in judged]
        assert getattr(summary, name) == pytest.approx(np.mean(values))
    assert summary.consistent is None


def test_without_frames_the_least_consistent_are_worst_and_then_the_clipped(write: Write) -> None:
    fields = pan(5)
    back = -fields
    back[3, 1, :10] += 9
    with write(fields, rgb=False, back=back) as stack:
        summary = summarise(stack_quality(stack))
    assert (summary.error, summary.unmoved, summary.textured) == (None, None, None)
    assert summary.worst[0].field == 3
    share = (SIZE[0] - 2) * (SIZE[1] - 3) / (SIZE[0] * SIZE[1])
    assert summary.inside == pytest.approx(share)
    fields[2, 0, :12] = 30  # a quarter of it beyond the bound
    with write(fields, rgb=False, codec=Centred8()) as stack:
        summary = summarise(stack_quality(stack))
    assert summary.consistent is None
    assert summary.worst[0].field == 2
    assert summary.worst[0].clipped == 0.25
    assert summary.clipped == 0.05


def test_a_stabilised_stack_is_judged_by_the_flow_between_its_frames(write: Write) -> None:
    cameras = np.tile(np.eye(3), (4, 1, 1))
    cameras[:, :2, 2] = DX, DY
    cameras[:, 0, 1] = 0.01
    fields, back = pan(4), -pan(4)
    residual = np.stack(list(map(motion.residual, fields, cameras)))
    returned = np.stack(list(map(motion.residual, back, np.linalg.inv(cameras))))
    with write(fields, back=back) as stack, write(residual, back=returned, cameras=cameras) as rest:
        plain, found = list(stack_quality(stack)), list(stack_quality(rest))
    for one, other in zip(plain, found, strict=True):
        # float32 ends of vectors fall a hair inside or outside of the frame's last pixels
        assert other.error == pytest.approx(one.error, abs=0.1)
        assert other.consistent == pytest.approx(one.consistent, abs=0.05)


@pytest.mark.parametrize(("slope", "textured"), [(0, 0.0), (1, 0.0), (3, 1.0)])
def test_texture_is_measured_by_the_gradient(slope: int, textured: float, tmp_path: Path) -> None:
    ramp = np.broadcast_to((slope * np.arange(64)).astype(np.uint8), (3, *SIZE))
    synthetic.write_video(tmp_path / "ramp.mkv", ramp, fps=25, codec="ffv1")
    summary = summarise(video_quality(tmp_path / "ramp.mkv", Farneback(), codec=Centred8()))
    # but for the first and last columns, whose neighbours are mirrored: they have no slope
    assert summary.textured == pytest.approx(textured * 62 / 64)
    assert summary.error == 0


class Batches(DIS):
    """DIS that likes several pairs at once, or colour."""

    @property
    def batch(self) -> int:
        return 3


class Colour(Batches):
    colour = True

    def estimate(self, first: Images, second: Images) -> Fields:
        assert first.shape[3:] == (3,)
        return super().estimate(as_luma(first), as_luma(second))


@pytest.mark.parametrize("method", [DIS(), Batches(), Colour()])
def test_a_videos_fields_are_judged_both_ways_whatever_the_batch(
    method: FlowMethod, tmp_path: Path
) -> None:
    frames = panned(8)
    synthetic.write_video(tmp_path / "pan.mkv", frames, fps=25, codec="ffv1")
    fields = list(video_quality(tmp_path / "pan.mkv", method, codec=Centred8()))
    assert [(field.field, field.frame) for field in fields] == [(k, k) for k in range(7)]
    plain = DIS()
    for k, field in enumerate(fields):
        there = plain(frames[k : k + 1], frames[k + 1 : k + 2])[0]
        back = plain(frames[k + 1 : k + 2], frames[k : k + 1])[0]
        warped, inside = motion.warp(frames[k + 1], there)
        error = np.abs(warped.astype(float) - frames[k])[inside].mean()
        # a level a pixel at most where colour goes to RGB and back
        assert field.error == pytest.approx(error, abs=0.2)
        consistent = motion.consistency(there, back).mean()
        assert field.consistent == pytest.approx(consistent, abs=0.02)
        assert field.error is not None
        assert field.unmoved is not None
        assert field.error < field.unmoved / 3


def test_videos_are_sampled_and_read_only_as_far_as_needed(tmp_path: Path) -> None:
    synthetic.write_video(tmp_path / "pan.mkv", panned(9), fps=25, codec="ffv1")
    sampling = Sampling(step=2)
    fields = video_quality(tmp_path / "pan.mkv", DIS(), sampling=sampling, codec=Centred8())
    assert [field.frame for field in islice(fields, 3)] == [0, 2, 4]
    alone = Sampling(step=20)
    with pytest.raises(VideoError, match=r"after sampling.*at least 2.*got 1"):
        list(video_quality(tmp_path / "pan.mkv", DIS(), sampling=alone, codec=Centred8()))


def quality(field: int, **values: Any) -> FieldQuality:
    plain = FieldQuality(
        field=field,
        frame=field,
        time=0.0,
        error=None,
        unmoved=None,
        inside=1.0,
        consistent=None,
        clipped=0.0,
        textured=None,
    )
    return replace(plain, **values)


def test_a_counter_holds_the_worst_two_of_any_number_and_of_equals_the_first() -> None:
    counter = QualityCounter()
    for k in range(500):
        counter.add(quality(k, error=float(k % 50)))
    assert [field.field for field in counter.summary().worst] == [49, 99]
    assert counter.summary().error == pytest.approx(24.5)
    assert sum(isinstance(value, list) and len(value) for value in vars(counter).values()) == 2
    with pytest.raises(ParameterError, match="no flow to check"):
        QualityCounter().summary()


def test_flow_that_leaves_the_frame_entirely_has_no_error() -> None:
    summary = summarise([quality(0, inside=0.0), quality(1, error=2.0)])
    assert summary.error == 2.0
    assert summary.fields == 2
    record = as_record(summary)
    assert record["worst"][0]["field"] == 1


def test_real_flow_beats_no_flow_and_a_cut_is_found(shared_data: Path) -> None:
    path = shared_data / "samples/carphone_pristine.mp4"
    summary = summarise(islice(video_quality(path, DIS(), codec=Centred8()), 20))
    assert summary.error is not None
    assert summary.unmoved is not None
    assert summary.error < summary.unmoved / 1.5
    assert summary.consistent is not None
    assert summary.consistent > 0.85
    # a basketball scene that dissolves into another after 39 frames
    path = shared_data / "ucf101/videos/BasketballDunk/v_BasketballDunk_g01_c01.mp4"
    summary = summarise(video_quality(path, DIS(), sampling=Sampling(step=3), codec=Centred8()))
    assert {field.frame for field in summary.worst} <= {39, 42, 45}
