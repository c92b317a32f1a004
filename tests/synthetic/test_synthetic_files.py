"""Video files written from frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from flowstream import synthetic
from flowstream.errors import ParameterError, ShapeError
from flowstream.types import Images
from flowstream.video import probe, read_frames

GREY = [synthetic.texture((32, 48), seed=seed) for seed in range(6)]


def test_lossless_video_gives_back_grey_and_colour(tmp_path: Path) -> None:
    colour = [np.stack([GREY[k], GREY[k - 1], GREY[k - 2]], axis=-1) for k in range(6)]
    grey = synthetic.write_video(
        tmp_path / "grey.mkv", GREY, codec="ffv1", pixel_format="gray", fps=12.5
    )
    rgb = synthetic.write_video(tmp_path / "rgb.mkv", colour, codec="ffv1", pixel_format="bgr0")
    for frame, wanted in zip(read_frames(grey), GREY, strict=True):
        assert np.array_equal(cast(Images, frame.luma), wanted)
    for frame, wanted in zip(read_frames(rgb, luma=False, rgb=True), colour, strict=True):
        assert np.array_equal(cast(Images, frame.rgb), wanted)
    assert probe(grey).fps == 12.5


def test_default_quality_loses_next_to_nothing(tmp_path: Path) -> None:
    path = synthetic.write_video(tmp_path / "film.mp4", GREY)
    for frame, grey in zip(read_frames(path), GREY, strict=True):
        # about what limited range rounds, and half of what eyes notice
        assert np.abs(cast(Images, frame.luma).astype(int) - grey).mean() < 2


def test_b_frames_are_there_unless_turned_off(tmp_path: Path) -> None:
    still = [synthetic.texture((32, 48), seed=0)] * 12
    kinds = {}
    for count in ("0", "3"):
        path = synthetic.write_video(
            tmp_path / f"{count}.mp4", still, options={"bf": count, "b_strategy": "0"}
        )
        with av.open(str(path)) as container:
            kinds[count] = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert 3 not in kinds["0"]  # AV_PICTURE_TYPE_B
    assert 3 in kinds["3"]


def test_a_file_gets_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"

    def frames() -> Iterator[Images]:
        yield from GREY
        assert not path.exists()
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        synthetic.write_video(path, frames())
    assert not list(tmp_path.iterdir())
    assert synthetic.write_video(path, GREY) == path
    assert [entry.name for entry in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize(
    ("frames", "options", "error", "message"),
    [
        ([], {}, ParameterError, "no frames to write"),
        (GREY, {"fps": 0.0}, ParameterError, "fps: got 0.0"),
        (GREY, {"fps": float("nan")}, ParameterError, "fps: got nan"),
        (GREY, {"rotation": 45}, ParameterError, "rotation: got 45"),
        (GREY, {"times": [0.0, 0.1]}, ParameterError, "times: got 2, expected one for each frame"),
        ([GREY[0], GREY[1][:-2]], {}, ShapeError, r"frame 1: got size \(30, 48\)"),
        ([GREY[0], GREY[1][:, :-2]], {}, ShapeError, r"frame 1: got size \(32, 46\)"),
        ([GREY[0].astype(float)], {}, ShapeError, "frame 0: got float64"),
        ([GREY[0][None, None]], {}, ShapeError, "frame 0: got uint8"),
        ([GREY[0][..., None]], {}, ShapeError, "frame 0: got uint8"),
    ],
)
def test_an_unwritable_target_is_refused(
    tmp_path: Path,
    frames: list[Any],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        synthetic.write_video(tmp_path / "film.mp4", frames, **options)
    assert not list(tmp_path.iterdir())
