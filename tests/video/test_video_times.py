"""When frames are shown: variable rates, samplings, edit lists, dropped and doubled frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from flowstream.video import Sampling, probe, read_frames
from tests.video.remuxing import remux

Film = Callable[..., Path]
Numbers = Callable[..., list[int]]


def test_a_variable_rate_keeps_its_times(film: Film, numbers: Numbers) -> None:
    times = np.cumsum([0.5, *np.random.default_rng(3).uniform(0.02, 0.3, 29)])
    for name in ("variable.mp4", "variable.mkv"):
        path = film(name, 30, times=times)
        seconds = [frame.seconds for frame in read_frames(path, luma=False)]
        # a millisecond: both ends of the difference are rounded to one in Matroska
        assert seconds == pytest.approx(times - times[0], abs=1.1e-3)
        expected = [
            int(np.searchsorted(times - times[0], tick / 10 + 1e-3, side="right")) - 1
            for tick in range(int((times[-1] - times[0]) * 10) + 1)
        ]
        taken = numbers(path, Sampling(fps=10.0))
        # how long the last frame is shown is not in these files
        assert taken[: len(expected)] == expected
        assert set(taken[len(expected) :]) <= {29}
    assert probe(film("variable.mp4", 30, times=times)).variable


def test_sampling_by_step_and_by_fps(film: Film, numbers: Numbers) -> None:
    path = film("plain.mp4", fps=20.0)
    assert numbers(path, Sampling(step=3)) == [0, 3, 6, 9, 12, 15, 18]
    assert numbers(path, Sampling(fps=5.0)) == [0, 4, 8, 12, 16]
    assert numbers(path, Sampling(fps=40.0)) == [index // 2 for index in range(40)]
    repeated = [frame.index for frame in read_frames(path, Sampling(fps=40.0))]
    assert repeated == [index // 2 for index in range(40)]


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3", "b_strategy": "0"}, {"g": "1"}])
def test_frames_cut_off_by_an_edit_list_are_not_damage(
    film: Film, numbers: Numbers, tmp_path: Path, options: dict[str, str]
) -> None:
    whole = film("whole.mp4", options={"sc_threshold": "0", **options})
    period = 512  # of 1/12800 s, as FFmpeg's MP4 counts 25 fps
    cut = remux(whole, tmp_path / "cut.mp4", lambda index, stamp: stamp - 5 * period)
    with av.open(str(cut)) as container:
        assert container.streams.video[0].frames == 20  # else this test shows nothing
    assert probe(cut).header_frames == 15
    assert numbers(cut) == list(range(5, 20))
    seconds = [frame.seconds for frame in read_frames(cut)]
    assert seconds == pytest.approx([index / 25 for index in range(15)])


def test_a_frame_without_a_time_follows_after_one_period(film: Film, tmp_path: Path) -> None:
    whole = film("whole.mkv", options={"bf": "0"})
    doubled = remux(
        whole, tmp_path / "doubled.mkv", lambda index, stamp: stamp - 40 * (index % 4 == 3)
    )
    with av.open(str(doubled)) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert stamps[2] == stamps[3]  # else this test shows nothing
    seconds = [frame.seconds for frame in read_frames(doubled)]
    assert seconds == pytest.approx([index / 25 for index in range(20)])


def test_empty_slots_of_a_recorder_are_not_damage(film: Film, tmp_path: Path) -> None:
    shown = [slot for slot in range(26) if slot % 6 < 5][:20]  # every sixth slot stays empty
    whole = film("whole.avi", codec="mpeg4")
    dropped = remux(whole, tmp_path / "dropped.avi", lambda index, stamp: shown[index])
    with av.open(str(dropped)) as container:
        assert container.streams.video[0].frames == shown[-1] + 1  # else this test shows nothing
    frames = list(read_frames(dropped))
    assert probe(dropped).header_frames == len(frames) == 20
    assert [frame.seconds for frame in frames] == pytest.approx([slot / 25 for slot in shown])
