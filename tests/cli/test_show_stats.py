"""`flowstream stats` and `show` on stacks and flow files, and the help of what looks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flowstream import synthetic
from flowstream.cli import VERBS
from flowstream.codec import CODECS
from flowstream.flow.draw import draw_field, panel
from flowstream.flow.files import read_flow, write_flow
from flowstream.store import Header, create_stack, encode_jpeg, open_stack
from tests.command_line import call, data, output, refusal

SIZE = (48, 64)


def make_stack(
    path: Path, *, speeds: tuple[float, ...] = (1.0, 2.0, 30.0), rgb: bool = True
) -> Path:
    """A stack whose field k moves right at `speeds[k]` pixels a frame, 25 frames a second."""
    frame = synthetic.texture(SIZE, seed=3)[..., None].repeat(3, axis=2)
    fields = np.zeros((len(speeds), 2, *SIZE), np.float32)
    fields[:, 0] = np.array(speeds)[:, None, None]
    header = Header(
        size=SIZE,
        method={"name": "dis", "preset": "medium", "patch_size": None},
        sampling={"step": 1, "fps": None},
        codec=CODECS["centred8"](),
        source="clip.mp4",
        source_bytes=1234,
        fps=25,
        source_size=(96, 128),
    )
    with create_stack(path, header, outputs=["rgb"] if rgb else []) as writer:
        for index in range(len(speeds) + 1):
            jpeg = encode_jpeg(frame, quality=95) if rgb else None
            writer.add_frame(index, index / 25, jpeg)
        writer.add_fields(fields)
    return path


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return make_stack(tmp_path / "clip.h5")


# stats


def test_stats_sum_up_speed_direction_stillness_and_clipping(stack: Path) -> None:
    (found,) = data("stats", stack)["stacks"]
    step = 20 / 127  # of the codec
    speeds = found["pixels_per_frame"]
    assert (found["fields"], found["size"]) == (3, [48, 64])
    assert speeds["p5"] == pytest.approx(1.0, abs=step / 2 + 1 / 128)
    assert speeds["p50"] == pytest.approx(2.0, abs=step / 2 + 1 / 128)
    assert speeds["max"] == pytest.approx(20.0, rel=1e-6)  # 30 was clipped to the bound
    assert found["clipped"] == pytest.approx(1 / 3, rel=1e-12)
    assert found["mean_dy"] == 0.0
    assert found["pixels_per_second"]["max"] == pytest.approx(500.0, rel=1e-6)


def test_stats_of_one_stack_are_shown_a_frame_and_a_second(stack: Path) -> None:
    text = output("stats", stack)
    assert "3 fields of 64x48, 25 a second" in text
    assert [line.split()[0] for line in text.splitlines()[1:4]] == [
        "speed",
        "pixels/frame",
        "pixels/second",
    ]


def test_stats_per_frame_have_a_line_a_field(stack: Path) -> None:
    (found,) = data("stats", stack, "--per-frame")["stacks"]
    assert [record["frame"] for record in found["frames"]] == [0, 1, 2]
    assert [record["clipped"] for record in found["frames"]] == [0.0, 0.0, 1.0]
    assert [record["time"] for record in found["frames"]] == pytest.approx([0, 0.04, 0.08])
    text = output("stats", stack, "--per-frame")
    assert len(text.rpartition("\n\n")[2].splitlines()) == 1 + 3


def test_stats_of_several_stacks_are_a_table_with_their_sum(stack: Path) -> None:
    other = make_stack(stack.with_name("other.h5"), speeds=(0.0,))
    lines = output("stats", stack, other).splitlines()
    assert [line.split()[0] for line in lines] == ["stack", "clip", "other", "all"]
    assert [line.split()[1] for line in lines] == ["fields", "3", "1", "4"]
    found = data("stats", stack, other)
    assert found["all"]["fields"] == 4
    assert found["all"]["still"] == 0.25
    assert max(map(len, lines)) <= 80


def test_stats_of_a_broken_stack_leave_the_others_and_fail(stack: Path) -> None:
    broken = stack.with_name("broken.h5")
    broken.write_bytes(stack.read_bytes()[:5000])
    result = call("stats", broken, stack)
    assert result.exit_code == 1
    assert "clip" in result.stdout
    assert "1 of 2 stacks could not be read" in result.stderr
    assert str(broken) in result.stderr


# show


def read_picture(path: Path) -> Any:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture[..., ::-1]


def test_show_draws_the_field_beside_its_frame_and_prints_the_path(stack: Path) -> None:
    out = stack.with_name("out.png")
    assert output("show", stack, "--at", "1", "--out", out) == f"{out}\n"
    with open_stack(stack) as opened:
        expected = panel(opened.rgb(1), opened.field(1))
    assert np.array_equal(read_picture(out), expected)


def test_show_of_a_stack_without_frames_draws_the_field_alone(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "clip.h5", rgb=False)
    output("show", stack, "--out", tmp_path / "out.png", "--max-speed", "4")
    with open_stack(stack) as opened:
        expected = panel(None, opened.field(0), max_speed=4.0)
    assert np.array_equal(read_picture(tmp_path / "out.png"), expected)


@pytest.mark.parametrize("suffix", [".flo", ".png", ".pfm"])
def test_show_draws_the_field_of_a_flow_file(suffix: str, tmp_path: Path) -> None:
    _, _, truth = synthetic.rotation(degrees=5, size=SIZE, seed=1)
    write_flow(tmp_path / f"a{suffix}", truth[0])
    output("show", tmp_path / f"a{suffix}", "--out", tmp_path / "out.png")
    expected = panel(None, read_flow(tmp_path / f"a{suffix}"))
    picture = read_picture(tmp_path / "out.png")
    assert np.array_equal(picture, expected)
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert tuple(draw_field(truth[0])[0, 0].tolist()) in colours


def test_show_makes_folders_replaces_pictures_and_leaves_nothing_else(stack: Path) -> None:
    out = stack.parent / "new" / "out.jpg"
    for at in ("0", "2"):
        output("show", stack, "--at", at, "--out", out)
    assert list(out.parent.iterdir()) == [out]


def test_show_refuses_a_field_that_is_not_there(stack: Path) -> None:
    out = stack.with_name("out.png")
    message = refusal(1, "show", stack, "--at", "3", "--out", out)
    assert "--at 3: expected 0 to 2; the stack has 3 fields" in message
    assert "--at" in refusal(2, "show", stack, "--at", "-1", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf"])
def test_show_refuses_a_speed_that_is_not_above_nought(stack: Path, speed: str) -> None:
    out = stack.with_name("out.png")
    assert "expected above 0" in refusal(2, "show", stack, "--out", out, "--max-speed", speed)


def test_show_refuses_to_write_over_what_it_draws_or_into_what_is_no_picture(
    tmp_path: Path,
) -> None:
    flow = tmp_path / "flow.png"
    write_flow(flow, np.zeros((2, 6, 8), np.float32))
    before = flow.read_bytes()
    assert "the file to be drawn" in refusal(2, "show", flow, "--out", flow)
    assert "ends in .png" in refusal(2, "show", flow, "--out", tmp_path / "out.h5")
    assert "single field" in refusal(2, "show", flow, "--at", "1", "--out", tmp_path / "a.png")
    assert flow.read_bytes() == before


def test_show_refuses_a_place_that_cannot_be_written_to(stack: Path) -> None:
    (stack.parent / "file").write_text("")
    message = refusal(1, "show", stack, "--out", stack.parent / "file" / "out.png")
    assert "cannot write the picture" in message


def test_show_refuses_what_is_neither_a_stack_nor_a_flow_field(tmp_path: Path) -> None:
    text = tmp_path / "clip.h5"
    text.write_text("hello")
    assert str(text) in refusal(1, "show", text, "--out", tmp_path / "out.png")


# all of them


@pytest.mark.parametrize("verb", ["info", "stats", "show", "list"])
def test_every_command_has_help_with_a_text_and_an_example(verb: str) -> None:
    assert verb in VERBS
    text = output(verb, "--help")
    assert "\nExample:\n" in text
    assert f"flowstream {verb}" in text.partition("Example:")[2]
    assert max(map(len, text.splitlines())) <= 80


def test_data_goes_to_stdout_and_errors_to_stderr_of_the_real_command(stack: Path) -> None:
    command = [sys.executable, "-c", "from flowstream.cli import main; main()", "info"]
    done = subprocess.run([*command, str(stack), "--json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["kind"] == "stack"
    done = subprocess.run([*command, str(stack.parent)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
