"""Windows: where clips start, how segments divide a video, what short videos do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.dataset.window import Window
from flowstream.errors import ParameterError

WINDOWS = st.builds(Window, st.integers(1, 20), st.integers(1, 4), st.integers(1, 30))


@given(WINDOWS, st.integers(1, 300), st.integers(0, 99))
def test_every_window_lies_in_the_video_or_starts_with_a_short_one(
    window: Window, num_fields: int, seed: int
) -> None:
    for generator in (None, np.random.default_rng(seed)):
        starts = window.starts(num_fields, generator)
        assert len(starts) == window.segments
        assert starts == sorted(starts)
        assert min(starts) >= 0
        assert max(starts) + window.span <= max(num_fields, window.span)


@pytest.mark.parametrize(
    ("window", "num_fields", "starts"),
    [
        (Window(10), 10, [0]),
        (Window(10), 11, [1]),
        (Window(10), 30, [10]),  # the centre: 10 fields before, 10 after
        (Window(10, segments=3), 39, [5, 15, 25]),  # 30 places, segments of 10
        (Window(5, step=3, segments=2), 20, [2, 6]),  # 13 fields each, 8 places
        (Window(10, segments=3), 4, [0, 0, 0]),
        (Window(1, segments=4), 2, [0, 0, 1, 1]),
    ],
)
def test_testing_windows_stand_in_the_middle_of_their_segments(
    window: Window, num_fields: int, starts: list[int]
) -> None:
    assert window.starts(num_fields, None) == starts


def test_training_windows_start_anywhere_in_their_segment() -> None:
    window, generator = Window(10, segments=3), np.random.default_rng(0)
    drawn = np.array([window.starts(39, generator) for _ in range(2000)])
    for segment in range(3):
        values, counts = np.unique(drawn[:, segment], return_counts=True)
        assert values.tolist() == list(range(10 * segment, 10 * segment + 10))
        # 2000 draws of 10 places: mean 200, standard deviation 13.4; 5 of those.
        assert abs(counts - 200).max() < 67


@pytest.mark.parametrize(
    ("window", "frames", "offset"),
    [
        (Window(10), 1, 5),  # fields 0..9 move between frames 0..10
        (Window(1), 1, 0),
        (Window(10), 10, 0),
        (Window(10), 11, 0),
        (Window(16), 16, 0),
        (Window(10), 4, 3),
        (Window(4, step=5), 1, 8),  # frames 0..16
        (Window(4, step=5), 4, 0),
    ],
)
def test_frames_stand_in_the_middle_of_the_window(window: Window, frames: int, offset: int) -> None:
    assert window.frame_offset(frames) == offset
    last = offset + (frames - 1) * window.step
    assert last <= window.span
    assert abs((offset + last) - window.span) <= 1


@pytest.mark.parametrize(("window", "frames"), [(Window(10), 12), (Window(4, 5), 5), (Window(), 0)])
def test_frames_that_do_not_fit_are_refused(window: Window, frames: int) -> None:
    with pytest.raises(ParameterError, match=rf"frames: got {frames}, expected 1 to "):
        window.frame_offset(frames)


def test_a_short_video_starts_over() -> None:
    window = Window()
    indices = window.indices(0, 8, step=1, num_fields=3)
    assert indices.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert window.indices(1, 4, step=2, num_fields=5).tolist() == [1, 3, 0, 2]


def test_a_short_video_can_hold_its_last_field_instead() -> None:
    indices = Window(short="hold").indices(1, 5, step=2, num_fields=5)
    assert indices.tolist() == [1, 3, 4, 4, 4]


def test_dense_windows_come_from_the_whole_video() -> None:
    window = Window(5, segments=3, sampling="dense")
    assert window.starts(25, None) == [0, 10, 20]
    random = np.random.default_rng(0)
    starts = {start for _ in range(200) for start in window.starts(25, random)}
    assert starts == set(range(21))
    assert Window(5, sampling="dense").starts(25, None) == [10]


@pytest.mark.parametrize("name", ["length", "step", "segments"])
def test_a_window_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name}: got 0, expected 1 or more"):
        Window(**{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("window", "num_fields", "starts"),
    [
        (Window(4, sampling="spread"), 8, [1, 3, 5, 7]),
        (Window(4, sampling="spread", run=2), 9, [2, 6]),  # 8 places, middles of two halves
        (Window(6, sampling="spread", run=2), 6, [0, 2, 4]),
        (Window(6, sampling="spread", run=2), 1, [0, 0, 0]),
    ],
)
def test_a_spread_window_has_runs_in_the_middle_of_equal_parts(
    window: Window, num_fields: int, starts: list[int]
) -> None:
    assert window.run_starts(num_fields) == starts
    assert window.starts(num_fields, None) == [0]


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 200))
def test_the_runs_of_a_spread_window_are_in_order_and_in_the_video(
    runs: int, run: int, num_fields: int
) -> None:
    starts = Window(runs * run, sampling="spread", run=run).run_starts(num_fields)
    assert len(starts) == runs
    assert starts == sorted(starts)
    assert starts[0] >= 0
    assert starts[-1] + run <= max(num_fields, run)


@pytest.mark.parametrize(
    ("name", "options"), [("step", {"step": 2}), ("segments", {"segments": 3}), ("run", {"run": 3})]
)
def test_a_spread_window_that_does_not_cover_the_video_evenly_is_refused(
    name: str, options: dict[str, int]
) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: got {options[name]}"):
        Window(10, sampling="spread", **options)  # type: ignore[arg-type]


def test_a_spread_window_of_a_section_has_its_runs_there() -> None:
    window = Window(10, sampling="spread", run=2, section=20)
    starts = window.run_starts(100, 50)
    assert [start - 50 for start in starts] == Window(10, sampling="spread", run=2).run_starts(20)
    # a shorter video is covered as a whole
    assert window.run_starts(12) == Window(10, sampling="spread", run=2).run_starts(12)
