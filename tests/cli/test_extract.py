"""`flowstream extract`: options in, stacks, exit codes and lines out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowstream.cli import main
from flowstream.cli.extract import extract
from flowstream.store import open_stack, verify_stack
from flowstream.synthetic import texture, write_video
from flowstream.video import count_frames

# This process, so that a test costs no start of workers; DIS, because it is the fastest.
QUICK = ["--method", "dis", "--backend", "sequential"]


def flowstream(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def make_clip(path: Path, frames: int = 4, **how: Any) -> Path:
    image = texture((32, 48 + frames), seed=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, (image[:, shot : shot + 48] for shot in range(frames)), fps=10, **how)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "videos" / "clip.mp4")


def error_of(result: Result, code: int) -> str:
    """The one line of a failed command."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    line, *more = result.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    assert all(other.startswith("  ") for other in more), "a list below the line"
    return " ".join([line, *more])


def test_a_clip_becomes_a_stack_by_the_options(tmp_path: Path, clip: Path) -> None:
    options = (
        "--set preset=fast --size 32x16 --step 2 --codec fixed16 --bound 40 --compression gzip"
    )
    result = flowstream(
        "extract", clip, "--out", tmp_path / "out", *QUICK, *options.split(), "--no-rgb"
    )
    assert result.exit_code == 0, result.output
    verify_stack(tmp_path / "out/clip.h5")
    with open_stack(tmp_path / "out/clip.h5") as stack:
        assert stack.size == (16, 32)
        assert stack.method["preset"] == "fast"
        assert stack.sampling["step"] == 2
        assert (stack.codec.name, stack.codec.bound) == ("fixed16", 40)
        assert (stack.compression, stack.has_rgb) == ("gzip", False)
        assert stack.frame_index.tolist() == [0, 2]


def test_data_goes_to_stdout_and_progress_to_stderr(tmp_path: Path, clip: Path) -> None:
    result = flowstream("extract", clip, "--out", tmp_path / "out", *QUICK)
    assert result.stdout.splitlines()[1].split()[:4] == ["done", "1", "4", "3"]
    assert "1 video, about 3 frame pairs" in result.stderr
    assert flowstream("extract", clip, "--out", tmp_path / "o", *QUICK, "--quiet").output == ""


def test_json_has_every_outcome(tmp_path: Path, clip: Path) -> None:
    (clip.parent / "bad.mp4").touch()
    result = flowstream("extract", clip.parent, "--out", tmp_path / "out", *QUICK, "--json")
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert [outcome["source"] for outcome in summary["done"]] == [str(clip)]
    assert [outcome["source"] for outcome in summary["failed"]] == [str(clip.parent / "bad.mp4")]


def test_the_same_command_skips_and_another_is_refused(tmp_path: Path, clip: Path) -> None:
    command = ("extract", clip, "--out", tmp_path / "out", *QUICK, "--quiet")
    assert flowstream(*command).exit_code == 0
    assert "skipped        1" in flowstream(*command[:-1]).stdout
    line = error_of(flowstream(*command, "--set", "preset=fast"), 1)
    assert "method.preset" in line
    assert "'medium'" in line
    assert "'fast'" in line
    assert "--overwrite" in line
    assert flowstream(*command, "--set", "preset=fast", "--overwrite").exit_code == 0


def test_a_dry_run_makes_nothing(tmp_path: Path, clip: Path) -> None:
    command = ("extract", clip.parent, "--out", tmp_path / "out", *QUICK, "--dry-run")
    result = flowstream(*command)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{clip} -> {tmp_path / 'out/clip.h5'}\n"
    assert not (tmp_path / "out").exists()
    assert re.search("frame pairs +about 3", result.stderr)
    facts = json.loads(flowstream(*command, "--json").stdout)
    assert facts["pairs"] == 3
    assert facts["seconds"] > 0
    assert facts["bytes"] > 0
    assert not (tmp_path / "out").exists()


def broken_videos(folder: Path) -> None:
    """An empty file, a text, a truncated video, a picture; beside one good clip."""
    make_clip(folder / "good.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("This is no video.\n" * 40)
    whole = make_clip(folder / "truncated.avi", frames=200, codec="mpeg4").read_bytes()
    (folder / "truncated.avi").write_bytes(whole[: len(whole) // 2])


def test_broken_videos_give_one_line_each_and_stop_nothing_else(tmp_path: Path) -> None:
    broken_videos(tmp_path / "videos")
    result = flowstream(
        "extract", tmp_path / "videos", "--out", tmp_path / "out", *QUICK, "--quiet"
    )
    assert result.exit_code == 1
    *lines, last = result.stderr.splitlines()
    names = ["empty.mp4", "text.mp4", "truncated.avi"]
    assert len(lines) == len(names)
    for line, name in zip(lines, names, strict=True):
        assert line.startswith(f"failed: {tmp_path / 'videos' / name}: ")
    assert last.startswith("Error: 3 of 4 videos failed; ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "extract.jsonl",
        "good.h5",
    ]


def test_a_truncated_video_can_be_accepted(tmp_path: Path) -> None:
    broken_videos(tmp_path / "videos")
    result = flowstream(
        "extract",
        tmp_path / "videos/truncated.avi",
        "--out",
        tmp_path / "out",
        *QUICK,
        "--allow-truncated",
    )
    assert result.exit_code == 0, result.output
    with open_stack(tmp_path / "out/truncated.h5") as stack:
        assert 2 < stack.num_fields < 195


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_an_unreadable_file_is_one_line(tmp_path: Path, clip: Path) -> None:
    clip.chmod(0)
    result = flowstream("extract", clip, "--out", tmp_path / "out", *QUICK, "--quiet")
    assert result.exit_code == 1
    assert "ermission denied" in result.stderr.splitlines()[0]


def test_a_folder_named_like_a_video_holds_no_videos(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").mkdir()
    result = flowstream("extract", tmp_path / "clip.mp4", "--out", tmp_path / "out", *QUICK)
    assert "no videos in this directory" in error_of(result, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--fps 0", "fps: expected a positive number, got 0.0"),
        ("--fps nan", "fps: expected a positive number, got nan"),
        ("--fps x", "'x' is not a valid float"),
        ("--step 0", "'--step': 0 is not in the range"),
        ("--step 2 --fps 5", "give one of the two"),
        ("--size 340x256 --short-side 128", "give one of the two"),
        ("--size foo", "expected width x height, such as 340x256"),
        ("--size 0x16", "expected width x height"),
        ("--method diss", "unknown flow method 'diss'; known: tvl1, .* Did you mean 'dis'"),
        ("--codec centered8", "unknown codec 'centered8'; .* Did you mean 'centred8'"),
        ("--compression zip", "unknown compression 'zip'; known: zstd"),
        ("--set preset", "'preset' is not a setting; write key=value"),
        ("--shard 3/2", "expected I/N with I from 1 to N, got 3/2"),
        ("--shard 3", "expected I/N such as 2/8, got '3'"),
        ("--timeout 0", "'--timeout': 0.0 is not in the range"),
        ("--overwrite --verify", "overwrite: excludes"),
        ("--set prest=fast", "prest: unknown key; .* Did you mean 'preset'"),
        ("--set preset=slow", "expected one of: ultrafast, fast, medium"),
        ("--device cpu", "method 'dis'.*device"),
        ("--codec float16 --bound 20", "codec 'float16' has no bound to set"),
        ("--bound 0", "bound"),
        ("--jobs 0", "'--jobs': 0 is not in the range"),
        ("--limit 0", "'--limit': 0 is not in the range"),
        ("--backend lokki", "'lokki' is not one of"),
        ("--scheduler tcp://x", "--scheduler needs --backend dask or ray"),
        ("--frobnicate", "No such option '?--frobnicate"),
    ],
)
def test_wrong_options_are_usage_errors(
    tmp_path: Path, clip: Path, options: str, message: str
) -> None:
    result = flowstream("extract", clip, "--out", tmp_path / "out", *QUICK, *options.split())
    line = error_of(result, 2)
    assert re.search(message, line), line
    assert line.endswith("(see 'flowstream extract --help')")
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    line = error_of(flowstream("extract", tmp_path / "nowhere", "--out", tmp_path / "out"), 2)
    assert "nowhere' does not exist" in line


def test_nothing_to_extract_is_a_usage_error(tmp_path: Path) -> None:
    assert "Missing argument" in error_of(flowstream("extract", "--out", tmp_path), 2)


def test_a_method_whose_package_is_missing_names_its_extra(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is how Python remembers that a module is not there
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "flowstream.flow.dis", raising=False)
    result = flowstream("extract", clip, "--out", tmp_path / "out", *QUICK)
    assert "flow method 'dis' needs 'cv2'; install it with" in error_of(result, 1)


def test_the_real_command_exits_with_the_codes_and_loads_only_what_it_needs(clip: Path) -> None:
    script = (
        "import sys\n"
        "from flowstream.cli import main\n"
        "try: main(['extract', *sys.argv[1:]])\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, str(clip), "--out", str(clip.parent / "out"), *QUICK]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "False\n")


def test_help_lists_the_options_in_groups() -> None:
    page = flowstream("extract", "--help").stdout
    titles = [line for line in page.splitlines() if line.endswith(":") and line[0] != " "]
    groups = ["Flow:", "Directions and camera:", "Frames:", "Stacks:", "Run:"]
    assert titles == [*groups, "Options:", "Example:"]


def test_the_example_in_the_help_is_a_real_command() -> None:
    for line in extract.example.splitlines():
        program, verb, *arguments = line.split()
        assert (program, verb) == ("flowstream", "extract")
        arguments[0] = str(Path(__file__))
        with extract.make_context(verb, arguments) as context:
            assert context.params["out"] == Path("stacks/")


def test_a_closed_pipe_is_not_an_error(clip: Path) -> None:
    command = [sys.executable, "-c", "from flowstream.cli import main; main()", "extract"]
    with subprocess.Popen(
        [*command, str(clip), "--out", str(clip.parent / "out"), *QUICK, "--dry-run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_both_traps_come_out_whole(tmp_path: Path, shared_data: Path) -> None:
    # headers that claim a frame too many; metadata that is not UTF-8
    command = ("extract", shared_data / "traps", "--out", tmp_path, *QUICK)
    result = flowstream(*command, "--short-side", "64")
    assert result.exit_code == 0, result.output
    stacks = sorted(tmp_path.glob("*.h5"))
    assert len(stacks) == 2
    for path in stacks:
        verify_stack(path)
        with open_stack(path) as stack:
            assert stack.num_fields + 1 == count_frames(shared_data / "traps" / stack.source)
