"""Which frames a sampling takes, and at what size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ParameterError
from flowstream.plugins import provenance
from flowstream.video import Sampling
from flowstream.video.sampling import ROUNDING


@dataclass(frozen=True)
class Shown:
    index: int
    seconds: float


def shown(times: list[float]) -> list[Shown]:
    return [Shown(index, seconds) for index, seconds in enumerate(times)]


def indices(sampling: Sampling, times: list[float], *, period: float) -> list[int]:
    return [frame.index for frame in sampling.select(shown(times), period=period)]


def on_screen(times: list[float], fps: float, period: float) -> list[int]:
    """The slow oracle: for each tick in turn, look through all frames."""
    taken = []
    for tick in range(10_000):
        now = tick / fps + ROUNDING
        if now >= times[-1] + period:
            break
        taken.append(max(index for index, seconds in enumerate(times) if seconds <= now))
    return taken


# whole milliseconds, so that a tick lies on a frame's time as often as not
gaps = st.lists(st.integers(1, 400), min_size=0, max_size=40)


@given(gaps=gaps, fps=st.sampled_from([1, 7.5, 10, 24, 25, 30000 / 1001, 60]))
def test_sampling_by_fps_takes_the_frame_on_screen_at_each_tick(
    gaps: list[int], fps: float
) -> None:
    times = [sum(gaps[:index]) / 1000 for index in range(len(gaps) + 1)]
    assert indices(Sampling(fps=fps), times, period=0.04) == on_screen(times, fps, 0.04)


@given(count=st.integers(0, 60), step=st.integers(1, 70))
def test_sampling_by_step_takes_every_step_th_frame_from_the_first(count: int, step: int) -> None:
    times = [index / 25 for index in range(count)]
    expected = [index for index in range(count) if index % step == 0]
    assert indices(Sampling(step=step), times, period=0.04) == expected


@pytest.mark.parametrize("rate", [10, 23.976, 25, 29.97, 30, 59.94])
def test_resampling_to_the_rate_of_the_video_changes_nothing(rate: float) -> None:
    exact = [index / rate for index in range(300)]
    in_milliseconds = [round(1000 * seconds) / 1000 for seconds in exact]  # as Matroska has them
    for times in (exact, in_milliseconds):
        assert indices(Sampling(fps=rate), times, period=1 / rate) == list(range(300))


def test_a_higher_rate_repeats_frames_and_a_lower_one_skips_them() -> None:
    times = [0.0, 0.1, 0.2, 0.3]
    assert indices(Sampling(fps=20), times, period=0.1) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert indices(Sampling(fps=5), times, period=0.1) == [0, 2]


def test_no_frames_give_no_frames() -> None:
    assert indices(Sampling(fps=5), [], period=0.1) == []


@given(rows=st.integers(1, 4000), columns=st.integers(1, 4000), short=st.integers(1, 1000))
def test_short_side_is_met_and_the_other_keeps_the_aspect_to_half_a_pixel(
    rows: int, columns: int, short: int
) -> None:
    height, width = Sampling(short_side=short).target(rows, columns)
    assert min(height, width) == short
    scale = short / min(rows, columns)
    # half a pixel is what rounding to whole pixels costs; the rest is floating point
    assert abs(height - rows * scale) <= 0.5 + 1e-6
    assert abs(width - columns * scale) <= 0.5 + 1e-6


def test_the_default_size_is_that_of_the_video() -> None:
    assert Sampling().target(240, 320) == (240, 320)
    assert Sampling(size=(17, 31)).target(240, 320) == (17, 31)
    assert Sampling(short_side=128).target(240, 320) == (128, 171)
    assert Sampling(short_side=128).target(320, 240) == (171, 128)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step": 0}, "step: .* got 0"),
        ({"fps": 0.0}, "fps: .* got 0.0"),
        ({"fps": -1.0}, "fps: .* got -1.0"),
        ({"fps": math.nan}, "fps: .* got nan"),
        ({"fps": math.inf}, "fps: .* got inf"),
        ({"short_side": 0}, "short_side: .* got 0"),
        ({"size": (0, 10)}, r"size: .* got \(0, 10\)"),
        ({"size": (10, 0)}, r"size: .* got \(10, 0\)"),
        ({"stream": -1}, "stream: .* got -1"),
        ({"depth_range": "wide"}, "depth_range: got 'wide'"),
        ({"depth_range": "9:9"}, "depth_range: got '9:9'"),
        ({"depth_range": "1e:9"}, "depth_range: got '1e:9'"),
        ({"step": 2, "fps": 5.0}, "step 2 and fps 5.0: give one"),
        ({"size": (8, 8), "short_side": 8}, "size .* and short_side 8: give one"),
    ],
)
def test_an_invalid_sampling_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Sampling(**values)


def test_a_sampling_is_a_value_that_json_can_hold() -> None:
    assert Sampling(size=(8, 9)) == Sampling(size=(8, 9))
    assert hash(Sampling(fps=5.0)) == hash(Sampling(fps=5.0))
    assert provenance(Sampling(size=(8, 9)))["size"] == [8, 9]
