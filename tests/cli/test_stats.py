"""`flowstream stats` on stacks, and how the real command writes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from flowstream.cli import VERBS
from tests.command_line import call, data, output
from tests.small_stack import make_stack


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return make_stack(tmp_path / "clip.h5")


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
    assert (found["direction"], found["coherence"]) == (0.0, pytest.approx(1.0))
    assert found["camera"] == pytest.approx(speeds["mean"])
    assert found["pixels_per_second"]["max"] == pytest.approx(500.0, rel=1e-6)


def test_stats_of_one_stack_are_shown_per_frame_and_per_second(stack: Path) -> None:
    text = output("stats", stack)
    assert "3 fields of 64x48, 25 per second" in text
    first_words = [line.split()[0] for line in text.splitlines()[1:4]]
    assert first_words == ["speed", "px/frame", "px/second"]
    assert "direction 0°" in text
    assert "mean speed over time: ▁▁█" in text or "▁" in text


def test_stats_per_frame_have_a_line_a_field(stack: Path) -> None:
    (found,) = data("stats", stack, "--per-frame")["stacks"]
    assert [record["frame"] for record in found["frames"]] == [0, 1, 2]
    assert [record["clipped"] for record in found["frames"]] == [0.0, 0.0, 1.0]
    assert [record["time"] for record in found["frames"]] == pytest.approx([0, 0.04, 0.08])
    text = output("stats", stack, "--per-frame")
    assert len(text.rpartition("\n\n")[2].splitlines()) == 2 + 3


def test_stats_of_a_directory_are_a_table_with_full_names_and_their_total(stack: Path) -> None:
    make_stack(stack.parent / "son04_boxing_d1_uncomp" / "clip.h5", speeds=(0.0,))
    make_stack(stack.parent / "son04_boxing_d2_uncomp" / "clip.h5", speeds=(1.0,))
    lines = output("stats", stack.parent).splitlines()
    names = ["clip.h5", "son04_boxing_d1_uncomp/clip.h5", "son04_boxing_d2_uncomp/clip.h5"]
    assert lines[0].split()[:3] == ["stack", "fields", "mean"]
    assert sorted(line.split()[0] for line in lines[2:-1]) == names
    assert lines[-1].split()[:2] == ["all", "5"]
    found = data("stats", stack.parent)
    assert found["all"]["fields"] == 5
    assert found["all"]["still"] == 0.2


def test_stats_by_class_group_the_directories(stack: Path) -> None:
    for name, speed in (("walk", 1.0), ("run", 5.0)):
        make_stack(stack.parent / "set" / name / "a.h5", speeds=(speed,))
        make_stack(stack.parent / "set" / name / "b.h5", speeds=(speed,))
    lines = output("stats", stack.parent / "set", "--by-class").splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [["run", "2", "2"], ["walk", "2", "2"]]
    classes = data("stats", stack.parent / "set", "--by-class")["classes"]
    assert [record["class"] for record in classes] == ["run", "walk"]


def test_csv_has_a_row_per_video_that_r_and_pandas_read(stack: Path) -> None:
    make_stack(stack.with_name("other.h5"), speeds=(0.0,))
    table = list(csv.DictReader(io.StringIO(output("stats", stack.parent, "--csv"))))
    (found, other) = data("stats", stack.parent)["stacks"]
    assert [row["path"] for row in table] == [found["path"], other["path"]]
    for name in ("mean", "p50", "p95"):
        speed = found["pixels_per_frame"][name]
        assert float(table[0][f"speed_{name}"]) == pytest.approx(speed, abs=1e-6)
    assert float(table[0]["direction"]) == 0.0
    assert table[1]["direction"] == ""
    assert float(table[1]["still"]) == 1.0
    assert float(table[0]["camera"]) == pytest.approx(found["camera"], abs=1e-6)
    frames = list(csv.DictReader(io.StringIO(output("stats", stack, "--csv", "--per-frame"))))
    assert [row["field"] for row in frames] == ["0", "1", "2"]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_speed_over_time_is_plotted(stack: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    target = stack.with_suffix(suffix)
    output("stats", stack, "--plot", target)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert target.read_bytes().startswith(starts[suffix])
    assert "expected a name" in call("stats", stack, "--plot", stack.with_suffix(".doc")).stderr


def test_the_speeds_of_many_clips_are_a_heat_map(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from flowstream.view.plot import plot_speeds

    clips = {f"class {k % 3}/clip ${k}\n日": ([0.0, 0.1 * k], [1.0, float(k)]) for k in range(50)}
    for count in (13, 50):  # with a name for each row, and for each class
        plot_speeds(tmp_path / "map.png", dict(list(clips.items())[:count]))
        assert (tmp_path / "map.png").stat().st_size > 5000


def test_stats_of_a_broken_stack_leave_the_others_and_fail(stack: Path) -> None:
    broken = stack.with_name("broken.h5")
    broken.write_bytes(stack.read_bytes()[:5000])
    result = call("stats", broken, stack)
    assert result.exit_code == 1
    assert "clip.h5" in result.stdout
    assert "1 of 2 stacks could not be read" in result.stderr
    assert str(broken) in result.stderr


@pytest.mark.parametrize("verb", ["info", "stats", "list"])
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
    (stack.parent / "empty").mkdir()
    empty = str(stack.parent / "empty")
    done = subprocess.run([*command, empty], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
