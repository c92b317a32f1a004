"""Conversions of several videos: what is kept, refused before any work, and listed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from flowstream.convert.raw_import import read_raw_frames
from flowstream.errors import ConversionError
from flowstream.locks import lock_directory
from flowstream.store import encode_jpeg, open_stack, verify_stack, write_pack
from tests.command_line import call, data, refusal
from tests.contracts.small_stack import write_small_stack

VIDEOS = ("run/b", "walk/a", "walk/c")


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    for name in VIDEOS:
        write_small_stack(tmp_path / "stacks" / f"{name}.h5")
    return tmp_path / "stacks"


def lists(out: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(out.glob("*.txt"))}


def to_raw(*paths: Path, out: Path, options: tuple[str, ...] = ()) -> tuple[int, int]:
    """Return the numbers of videos written and kept."""
    done = data("convert", *paths, "--to", "rawframes", "-o", out, *options)
    return sum(not name.endswith(".txt") for name in done["written"]), len(done["kept"])


def test_the_same_command_continues_and_the_lists_stay_complete(
    stacks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert to_raw(stacks, out=out) == (3, 0)
    complete = lists(out)
    assert complete["classes.txt"] == "run\nwalk\n"
    # one video is gone, and one was left by a run that was killed
    shutil.rmtree(out / "walk/a")
    (out / "run/b").rename(out / "run/b.part")
    assert to_raw(stacks, out=out) == (2, 1)
    assert lists(out) == complete
    assert not (out / "run/b.part").exists()
    assert to_raw(stacks, out=out, options=("--overwrite",)) == (3, 0)
    # a killed run leaves no lists; converting a part lists what is in the tree
    for name in complete:
        (out / name).unlink()
    assert to_raw(stacks / "walk" / "a.h5", out=tmp_path / "one") == (1, 0)
    assert to_raw(stacks / "*" / "a.h5", out=out) == (0, 1)
    assert lists(out) == complete


def test_classes_are_added_one_after_the_other(stacks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    to_raw(stacks / "walk*", out=out)
    to_raw(stacks / "run*", out=out)
    assert lists(out)["classes.txt"] == "walk\nrun\n"
    assert [line.split()[::2] for line in lists(out)["annotations_rgb.txt"].splitlines()] == [
        ["run/b", "1"],
        ["walk/a", "0"],
        ["walk/c", "0"],
    ]
    write_small_stack(tmp_path / "other" / "x" / "a.h5")
    files = {f"{name}.h5": stacks / f"{name}.h5" for name in VIDEOS}
    write_pack(files, tmp_path / "packs" / "p.h5")
    assert to_raw(tmp_path / "packs", out=tmp_path / "unpacked") == (3, 0)
    assert to_raw(tmp_path / "packs" / "p.h5" / "walk", out=tmp_path / "flat") == (2, 0)
    assert to_raw(tmp_path / "packs" / "p*", out=tmp_path / "by_pattern") == (3, 0)
    assert (tmp_path / "by_pattern/p/run/b").is_dir()
    line = refusal(1, "convert", tmp_path / "other/x", "--to", "rawframes", "-o", tmp_path / "flat")
    assert "is listed with class 'walk'" in line


def test_other_settings_and_files_are_not_mixed(stacks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    to_raw(stacks, out=out)
    line = refusal(
        1, "convert", stacks, "--to", "rawframes", "-o", out, "--set", "bound=32", "--overwrite"
    )
    assert "bound=20.0, requested: bound=32" in line
    (out / "run/b/notes.md").touch()
    result = call("convert", stacks, "--to", "rawframes", "-o", out, "--overwrite", "-q")
    assert result.exit_code == 1
    assert "notes.md" in result.stderr.splitlines()[0]
    assert result.stderr.splitlines()[1].startswith("Error: 1 of 3")
    assert (out / "run/b/notes.md").exists()


def test_files_are_kept_unless_their_stack_is_newer(stacks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for form in ("npy", "stack"):
        command = ("convert", stacks, "--to", form, "-o", out)
        assert len(data(*command)["written"]) == 3
        os.utime(stacks / "run/b.h5", ns=(2**61, 2**61))
        done = data(*command)
        assert [Path(name).stem for name in done["written"]] == ["b"]
        assert len(done["kept"]) == 2
        os.utime(stacks / "run/b.h5", ns=(1, 1))
    result = call("convert", stacks, "--to", "stack", "--set", "compression=gzip", "-o", out, "-q")
    assert result.exit_code == 1
    assert "has compression lz4hc, requested: gzip" in result.stderr.splitlines()[0]
    assert result.stdout == ""


def test_white_space_is_refused_before_any_work(tmp_path: Path) -> None:
    write_small_stack(tmp_path / "stacks" / "play guitar" / "a.h5")
    command = ("convert", tmp_path / "stacks", "--to", "rawframes", "-o", tmp_path / "out")
    assert "'play guitar/a'" in refusal(1, *command)
    assert not (tmp_path / "out").exists()
    data(*command, "--set", "underscores=true")
    assert lists(tmp_path / "out")["annotations_flow.txt"].startswith("play_guitar/a ")
    to_raw(tmp_path / "stacks", out=tmp_path / "bare", options=("--set", "lists=false"))
    assert lists(tmp_path / "bare") == {}
    assert (tmp_path / "bare/play guitar/a").is_dir()


def test_trees_with_raw_frames_and_stacks_are_converted_completely(
    stacks: Path, tmp_path: Path
) -> None:
    to_raw(stacks / "run/b.h5", out=stacks / "raw")
    # the bound is that of the conversion
    done = data("convert", stacks, "--to", "stack", "-o", tmp_path / "out")
    command = ("convert", stacks, "--to", "stack", "--bound", "20", "-o", tmp_path / "out")
    names = {Path(name).relative_to(tmp_path / "out").as_posix() for name in done["written"]}
    assert names == {"raw/b.h5", *(f"{name}.h5" for name in VIDEOS)}
    assert len(data(*command)["kept"]) == 4
    (stacks / "raw/conversion.json").unlink()
    result = call(*command[:5], "15", *command[6:])
    assert "requested: Linear8(bound=15" in result.stderr.splitlines()[0]


def test_as_many_images_as_fields_lose_the_last_field(stacks: Path, tmp_path: Path) -> None:
    to_raw(stacks / "run/b.h5", out=tmp_path)
    raw = tmp_path / "b"
    last = len(list(raw.glob("img_*")))
    (raw / f"img_{last:05d}.jpg").unlink()
    note = read_raw_frames(raw, tmp_path / "x.h5", bound=20)
    assert f"field {last - 1} left out, because image {last} is missing" in note
    verify_stack(tmp_path / "x.h5")
    with open_stack(tmp_path / "x.h5") as stack, open_stack(stacks / "run/b.h5") as original:
        assert stack.num_frames == original.num_frames - 1
        assert stack.jpeg(0) == original.jpeg(0)
    (raw / f"img_{last - 1:05d}.jpg").unlink()
    with pytest.raises(ConversionError, match=rf"expected images 1 to {last} .* from 1 to"):
        read_raw_frames(raw, tmp_path / "x.h5", bound=20)


@pytest.mark.parametrize("quality", [75, 95])
def test_the_quality_of_imported_images_is_recorded(
    stacks: Path, tmp_path: Path, quality: int
) -> None:
    to_raw(stacks / "run/b.h5", out=tmp_path)
    images = sorted((tmp_path / "b").glob("img_*"))
    with open_stack(stacks / "run/b.h5") as stack:
        rows, columns = stack.size
    for path in images:
        path.write_bytes(encode_jpeg(np.zeros((rows, columns, 3), np.uint8), quality))
    read_raw_frames(tmp_path / "b", tmp_path / "x.h5", bound=20)
    with open_stack(tmp_path / "x.h5") as stack:
        assert stack.header.jpeg_quality == quality
    images[0].write_bytes(encode_jpeg(np.zeros((rows, columns, 3), np.uint8), 50))
    read_raw_frames(tmp_path / "b", tmp_path / "x.h5", bound=20)
    with open_stack(tmp_path / "x.h5") as stack:
        assert stack.header.jpeg_quality == 0  # unknown


def test_json_is_one_object(stacks: Path, tmp_path: Path) -> None:
    result = call("convert", stacks, "--to", "flo", "-o", tmp_path / "out", "--json")
    assert set(json.loads(result.stdout)) == {"written", "kept", "failed"}


def test_two_runs_never_write_into_one_directory(stacks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    to_raw(stacks / "run", out=out)
    before = sorted(out.rglob("*"))
    with lock_directory(out, ConversionError):
        line = refusal(1, "convert", stacks, "--to", "rawframes", "-o", out)
    assert line == (
        f"Error: {out}: another run is writing into this directory; wait until it ends, or use "
        "another directory"
    )
    assert sorted(out.rglob("*")) == before
