"""Clocks that jump, repeat or are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from flowstream.video import Sampling, open_video, read_frames
from flowstream.video.clock import Clock
from tests.video.remuxing import remux

Film = Callable[..., Path]


@pytest.mark.parametrize("seconds", [30, 3600, -2])
def test_a_jump_of_the_clock_counts_as_one_period(film: Film, tmp_path: Path, seconds: int) -> None:
    whole = film("whole.ts", 40, options={"bf": "0", "g": "20"})
    with av.open(str(whole)) as container:
        unit = container.streams.video[0].time_base
    assert unit is not None
    jump = round(seconds / unit)
    later = remux(whole, tmp_path / "later.ts", lambda index, old: old + jump)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(whole.read_bytes() + later.read_bytes())
    with open_video(joined, Sampling(fps=25.0)) as video:
        assert len(list(video)) == 80
        assert video.corrupt == ()
        assert len([note for note in video.notes if "clock jumps" in note]) == 1


def test_a_long_pause_keeps_its_time_but_repeats_a_bounded_number_of_frames(
    film: Film, tmp_path: Path
) -> None:
    whole = film("whole.mkv", options={"bf": "0"})
    paused = remux(whole, tmp_path / "p.mkv", lambda index, old: old + 3_600_000 * (index >= 10))
    times = [frame.seconds for frame in read_frames(paused)]
    assert times[10] - times[9] == pytest.approx(3600.04)
    with open_video(paused, Sampling(fps=25.0)) as video:
        # ten seconds of the frame before the pause
        assert len(list(video)) == 9 + 250 + 10
        assert any("frame 9 is shown for 3.6e+03 s" in note for note in video.notes)


def times_of(stamps: list[float | None], *, may_jump: bool = False) -> list[float]:
    clock = Clock(period=0.04, may_jump=may_jump)
    return [seconds for _, seconds in clock.place((stamp, stamp) for stamp in stamps)]


def test_a_clock_that_steps_back_is_restarted() -> None:
    stamps = [60 + 0.04 * index for index in range(10)] + [0.04 * index for index in range(10)]
    clock = Clock(period=0.04, may_jump=False)
    times = [seconds for _, seconds in clock.place((stamp, stamp) for stamp in stamps)]
    assert np.diff(times) == pytest.approx(0.04)
    assert [index for index, _ in clock.jumps] == [10]


@pytest.mark.parametrize("repeats", [1, 3, 8])
def test_times_increase_and_catch_up_with_stamps_that_repeat(repeats: int) -> None:
    stamps = [0.04 * index for index in range(40)]
    times = times_of([*stamps[:5], *repeats * stamps[4:5], *stamps[5:]])
    assert (np.diff(times) > 0).all()
    # at most four frames are held back, and the others catch up by half a period each
    assert times[-1] == pytest.approx(stamps[-1])


def test_frames_without_any_stamp_are_a_period_apart() -> None:
    assert times_of([None] * 12) == pytest.approx([0.04 * index for index in range(12)])
    assert times_of([None, None, 5.0, 5.04]) == pytest.approx([0, 0.04, 0.08, 0.12])


def test_the_last_frame_of_a_variable_rate_is_not_evidence_of_loss(film: Film) -> None:
    times = [*(index / 10 for index in range(19)), 4.0]
    path = film("hold.mkv", times=times)
    assert len(list(read_frames(path))) == 20
