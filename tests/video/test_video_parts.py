"""Parts of a video: the same frames, indices and times as in a full reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowstream.errors import ParameterError, VideoError
from flowstream.extract.forecast import expected_pairs
from flowstream.types import Images
from flowstream.video import Frame, Pair, Sampling, Span, open_video, read_frames
from flowstream.video.sampling import ROUNDING

Film = Callable[..., Path]


def assert_same(got: list[Frame], expected: list[Frame]) -> None:
    assert [frame.index for frame in got] == [frame.index for frame in expected]
    assert [frame.seconds for frame in got] == [frame.seconds for frame in expected]
    for one, other in zip(got, expected, strict=True):
        assert isinstance(one.luma, np.ndarray)
        assert np.array_equal(one.luma, other.luma)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts"])
def test_a_part_is_a_slice_of_the_whole(film: Film, name: str) -> None:
    path = film(name, options={"g": "6"})
    whole = list(read_frames(path))
    assert_same(list(read_frames(path, part=Span(7, 13))), whole[7:13])
    assert_same(list(read_frames(path, part=Span(15))), whole[15:])
    assert_same(list(read_frames(path, part=Span(0.2, 0.48, "seconds"))), whole[5:12])
    assert_same(list(read_frames(path, Sampling(step=3), part=Span(7, 16))), whole[7:16:3])
    assert_same(list(read_frames(path, part=Pair(3, 17))), [whole[3], whole[17]])


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts", "film.avi"])
@pytest.mark.parametrize("rate", [25, 30000 / 1001, 12])
@pytest.mark.parametrize("fps", [3, 7.5, 10, 25, 30000 / 1001, 60])
def test_a_resampled_part_shows_the_frames_on_a_grid_of_times_in_it(
    film: Film, name: str, rate: float, fps: float
) -> None:
    path = film(name, 40, fps=rate)
    whole = list(read_frames(path))
    parts = [Span(13, 31), Span(13), Span(0.55, 1.3, "seconds"), Span(1.0, None, "seconds")]
    for part in parts:
        inside = [frame for frame in whole if part.selects(frame)]
        origin = inside[0].seconds
        end = whole[-1].seconds + 1 / rate
        if part.unit == "seconds" and part.end is not None:
            end = part.end
        elif part.end is not None:
            end = whole[int(part.end)].seconds
        grid = [tick / fps for tick in range(1000) if origin + tick / fps + 2 * ROUNDING < end]
        expected = [
            max(frame.index for frame in inside if frame.seconds <= origin + tick + 2 * ROUNDING)
            for tick in grid
        ]
        got = list(read_frames(path, Sampling(fps=fps), part=part))
        assert [frame.index for frame in got] == expected
        if fps == rate:
            assert [frame.index for frame in inside] == expected
        with open_video(path) as video:
            pairs = expected_pairs(video.info, Sampling(fps=fps), part)
        assert video.info.header_frames is None or pairs == len(got) - 1


def test_a_part_of_an_intact_video_has_no_note(film: Film) -> None:
    for part in (Span(0, 5), Span(7, 13), Span(15), Pair(3, 17)):
        with open_video(film("film.avi"), Sampling(), part=part) as video:
            assert len(list(video)) >= 2
            assert video.notes == ()


@pytest.mark.parametrize(
    ("part", "note"),
    [
        (Span(15, 21), "frames 15 to 21 were asked for; the video has 20 frames and ends at 0.8 s"),
        (Span(0.2, 0.95, "seconds"), "seconds 0.2 to 0.95 were asked for; the video has 20"),
        (Span(15, 20), ""),
        (Span(0.2, 0.85, "seconds"), ""),
    ],
)
def test_a_part_that_ends_after_the_video_has_a_note(film: Film, part: Span, note: str) -> None:
    with open_video(film("film.mp4"), Sampling(), part=part) as video:
        assert list(video)[-1].index == 19
        assert [one[: len(note)] for one in video.notes] == [note] * bool(note)


def test_a_part_beyond_the_end_is_an_error_with_the_length(film: Film) -> None:
    path = film("film.mp4")
    for part in (Span(20, 30), Pair(3, 20)):
        with pytest.raises(VideoError, match="are not in the video; it has 20 frames"):
            list(read_frames(path, part=part))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Span(3, 3),
        lambda: Span(-1),
        lambda: Span(0, float("nan")),
        lambda: Span(0, 1, "hours"),
        lambda: Pair(3, 3),
        lambda: Pair(-1, 3),
    ],
)
def test_a_part_that_holds_nothing_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ParameterError, match="expected"):
        make()


def test_images_of_a_part_are_those_alone(tmp_path: Path) -> None:
    import cv2

    image: Images = np.zeros((8, 8), np.uint8)
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image + 10 * number)
    part = [frame.index for frame in read_frames(tmp_path, part=Span(2, 4))]
    assert part == [2, 3]
