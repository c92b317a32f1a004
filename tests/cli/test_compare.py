"""`flowstream compare` on videos, stacks and fields, with and without ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.flow_accuracy import middlebury
from flowstream import METHODS, synthetic
from flowstream.flow.files import write_flow
from flowstream.flow.measure import average_end_point_error, fl_all
from tests.command_line import call, data, output, refusal
from tests.small_stack import make_stack

SIZE = (48, 64)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames of a pan by (1.5, -0.5) a step."""
    path = tmp_path / "pan.mkv"
    frames = [synthetic.pan(dx=1.5 * t, dy=-0.5 * t, size=SIZE, seed=2)[1][0] for t in range(6)]
    synthetic.write_video(path, np.stack(frames), fps=25, codec="ffv1")
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """The true field of the pan, unknown in its upper half."""
    field = np.empty((2, *SIZE), np.float32)
    field[0], field[1] = 1.5, -0.5
    field[:, : SIZE[0] // 2] = np.nan
    path = tmp_path / "truth.flo"
    write_flow(path, field)
    return path


def scores(*arguments: str | Path) -> list[dict[str, Any]]:
    found: Any = data("compare", *arguments)
    return list(found)


def test_methods_on_a_video_have_times_errors_and_a_sheet(video: Path, truth: Path) -> None:
    sheet = video.with_name("sheet.png")
    text = output(
        "compare", video, "--methods", "tvl1:preset=fast,dis,farneback", "--truth", truth,
        "-o", sheet,
    )  # fmt: skip
    head, units, *rows, path = text.splitlines()
    assert "end-point error" in head
    assert "ms/pair" in units
    assert [row.split("  ")[0] for row in rows] == ["tvl1 preset=fast", "dis", "farneback"]
    assert path == str(sheet)
    with_truth = np.asarray(Image.open(sheet)).shape
    output("compare", video, "--methods", "tvl1,dis,farneback", "-o", sheet)
    # the differences to the first method and the warp errors, instead of the errors
    assert np.asarray(Image.open(sheet)).shape[0] > with_truth[0]
    assert np.asarray(Image.open(sheet)).shape[1] == with_truth[1]


def test_errors_count_the_known_pixels_only(video: Path, truth: Path, tmp_path: Path) -> None:
    wrong = np.zeros((2, *SIZE), np.float32)
    wrong[0], wrong[1] = 1.5 + 3, -0.5 + 4
    wrong[0, : SIZE[0] // 2] = 1000
    write_flow(tmp_path / "wrong.flo", wrong)
    (found,) = scores(tmp_path / "wrong.flo", "--truth", truth)
    assert found["truth_error"] == pytest.approx(5)
    assert found["outliers"] == 100
    # a file of ground truth compared with itself: unknown vectors on both sides
    sheet = tmp_path / "self.png"
    assert "0.000" in output("compare", truth, "--truth", truth, "-o", sheet)
    assert sheet.is_file()


def test_stacks_are_compared_with_the_first_one(tmp_path: Path) -> None:
    make_stack(tmp_path / "a.h5", speeds=(1.0, 2.0), codec="float32")
    make_stack(tmp_path / "b.h5", speeds=(1.5, 2.5), codec="float32")
    sheet = tmp_path / "sheet.png"
    first, second = scores(tmp_path / "a.h5", tmp_path / "b.h5", "-o", sheet)
    assert first["difference"] is None
    assert second["difference"] == pytest.approx(0.5)
    assert second["speed"] == pytest.approx(2.0)
    assert second["warp_error"] > 0
    assert sheet.is_file()


def test_what_cannot_be_compared_is_refused(video: Path, truth: Path, tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "one.h5")
    assert "got one stack, expected at least two" in refusal(2, "compare", stack)
    assert "Did you mean 'farneback'?" in refusal(2, "compare", video, "--methods", "farnback")
    assert "presett" in refusal(2, "compare", video, "--methods", "tvl1:presett=fast")
    small = tmp_path / "small.flo"
    write_flow(small, np.zeros((2, 4, 5), np.float32))
    assert "(2, 4, 5)" in refusal(1, "compare", truth, "--truth", small)


def test_errors_on_middlebury_are_those_of_the_benchmark(shared_data: Path) -> None:
    name = "RubberWhale"
    (pair,) = [pair for pair in middlebury(shared_data) if pair.name == name]
    directory = shared_data / "middlebury" / name
    names = ["dis", "farneback"]
    found = scores(directory, "--methods", ",".join(names), "--truth", directory / "flow10.flo")
    assert [row["name"] for row in found] == names
    for row in found:
        field = METHODS[row["name"]]()(pair.first[None], pair.second[None])[0]
        # the benchmark's frames are grey PNG files by OpenCV, whose luma differs by rounding
        expected = average_end_point_error(field, pair.truth)
        assert row["truth_error"] == pytest.approx(expected, abs=0.01)
        assert row["outliers"] == pytest.approx(fl_all(field, pair.truth), abs=0.1)


def test_raft_takes_its_weights_from_a_file(shared_data: Path) -> None:
    weights = shared_data / "weights" / "raft-small.pth"
    directory = shared_data / "middlebury" / "RubberWhale"
    result = call(
        "compare", directory, "--methods", f"dis,raft:variant=small:updates=2:weights={weights}",
        "--size", "128x96",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = result.stdout.splitlines()[2:]
    assert [row.split("  ")[0] for row in rows] == ["dis", "raft variant=small updates=2"]
