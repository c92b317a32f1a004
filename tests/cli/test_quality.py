"""`flowstream quality` on stacks and videos, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream import synthetic
from flowstream.cli import VERBS
from flowstream.codec.centred8 import Centred8
from flowstream.flow.dis import DIS
from flowstream.store import create_stack, open_stack
from flowstream.video import Sampling
from flowstream.view.quality import as_record, stack_quality, summarise, video_quality
from tests.command_line import call, data, output
from tests.small_stack import SIZE, make_pan, write_fields


def sources(*arguments: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data("quality", *arguments)["sources"]
    return found


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """A summary as JSON gives it back."""
    again: dict[str, Any] = json.loads(json.dumps(record))
    return again


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Frames of a still texture; the third of four fields says that it moves."""
    frame = synthetic.texture(SIZE, seed=3)
    fields = np.zeros((4, 2, *SIZE), np.float32)
    fields[2, 0] = 5
    return write_fields(
        tmp_path / "clip.h5", fields, images=[frame] * 5, step=10, rate=2.5, source="clip.mp4"
    )


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames of a pan."""
    return make_pan(tmp_path / "pan.mkv", frames=6)


def test_a_stack_is_summarised_and_its_worst_field_named(stack: Path) -> None:
    text = output("quality", stack)
    assert text.startswith(f"{stack}: flow by known\n")
    (worst,) = [line for line in text.splitlines() if line.startswith("worst")]
    assert worst.split()[1:6] == ["field", "2", "(frame", "20,", "0.80"]
    assert "consistent  unknown: the stack has no backward flow" in text
    assert max(map(len, text.splitlines()[1:])) <= 80
    with open_stack(stack) as opened:
        expected = as_record(summarise(stack_quality(opened)))
    (found,) = sources(stack)
    assert found.items() >= plain({"path": str(stack), "method": "known", **expected}).items()
    assert found["verdict"] in ("good", "check", "bad")


def test_a_stack_without_frames_says_so(tmp_path: Path) -> None:
    path = write_fields(tmp_path / "bare.h5", np.zeros((1, 2, *SIZE), np.float32))
    text = output("quality", path)
    assert "error       unknown: the stack has no frames" in text
    assert "textured" not in text
    assert sources(path)[0]["error"] is None


def test_the_flow_of_a_video_is_estimated_with_the_options(video: Path) -> None:
    (found,) = sources(video, "--method", "dis", "--set", "preset=fast", "--step", "2")
    fields = video_quality(video, DIS(preset="fast"), sampling=Sampling(step=2), codec=Centred8())
    expected = as_record(summarise(fields))
    assert found.items() >= plain({"path": str(video), "method": "dis", **expected}).items()
    assert found["fields"] == 2
    (small,) = sources(video, "--method", "dis", "--size", "32x24")
    assert small["error"] != found["error"]
    assert "consistent  9" in output("quality", video, "--method", "dis")


def test_the_default_method_is_that_of_extract(video: Path) -> None:
    assert sources(video, "--limit", "1")[0]["method"] == "tvl1"


def test_per_frame_adds_each_field_and_limit_ends_early(stack: Path, video: Path) -> None:
    (found,) = sources(stack, "--per-frame", "--limit", "3")
    assert (found["fields"], len(found["frames"])) == (3, 3)
    assert found["frames"][2] == found["worst"][0]
    lines = output("quality", video, "--per-frame", "--method", "dis").splitlines()
    assert [line.split()[:2] for line in lines[1:6]] == [["field", str(k)] for k in range(5)]


def test_one_bad_source_leaves_the_others_and_fails(stack: Path, video: Path) -> None:
    broken = stack.with_name("broken.h5")
    broken.write_bytes(stack.read_bytes()[:4000])
    text = stack.with_name("text.mp4")
    text.write_text("hello")
    result = call("quality", broken, stack, text, video, "--method", "dis", "--json")
    assert result.exit_code == 1
    records = json.loads(result.stdout)["sources"]
    assert [record["path"] for record in records] == [str(stack), str(video)]
    assert f"failed: {broken}" in result.stderr
    assert f"failed: {text}" in result.stderr
    assert "2 of 4 inputs could not be checked" in result.stderr


def test_a_directory_has_a_row_per_clip_the_worst_first(stack: Path) -> None:
    wrong = np.zeros((4, 2, *SIZE), np.float32)
    wrong[:, 0] = 30  # beyond the bound of the codec
    with open_stack(stack) as opened:
        frames = [opened.jpeg(t) for t in range(5)]
        header = opened.header
    with create_stack(stack.with_name("wrong.h5"), header) as writer:
        for t, jpeg in enumerate(frames):
            writer.add_frame(10 * t, 0.4 * t, jpeg)
        writer.add_fields(wrong)
    lines = output("quality", stack.parent).splitlines()
    assert lines[0].split()[:2] == ["input", "verdict"]
    assert [line.split()[0] for line in lines[2:]] == ["wrong.h5", "clip.h5"]
    assert lines[2].split()[1] == "bad"
    assert "--bound" in lines[2]


def test_options_of_videos_are_refused_for_stacks_and_checked(stack: Path, video: Path) -> None:
    for arguments, message in (
        ((stack, "--method", "dis"), "--method is for videos"),
        ((stack, "--short-side", "32"), "--short-side is for videos"),
        ((video, "--set", "preste=fast"), "Did you mean 'preset'"),
        ((video, "--method", "dsi"), "Did you mean 'dis'"),
        ((video, "--step", "2", "--fps", "5"), "fps"),
    ):
        method = () if "--method" in arguments or arguments[0] == stack else ("--method", "dis")
        result = call("quality", *arguments, *method)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr


def test_help_has_a_text_and_an_example() -> None:
    assert "quality" in VERBS
    text = output("quality", "--help")
    assert "flowstream quality" in text.partition("Example:")[2]
    assert max(map(len, text.splitlines())) <= 80
