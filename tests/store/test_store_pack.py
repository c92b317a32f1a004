"""Packs: many stacks in one file, read in place, and taken out again byte for byte."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from flowstream.dataset.names import VideoNames
from flowstream.errors import ParameterError, StackError
from flowstream.locks import lock_directory
from flowstream.store import is_pack, open_stack, read_members, unpack, verify_stack, write_pack
from tests.command_line import call


@pytest.fixture
def packed(write: Any, tmp_path: Path) -> Path:
    stacks = {
        f"run/{name}.h5": write(f"s/run/{name}.h5", source=name, compression="gzip")
        for name in "ab"
    }
    stacks["c.h5"] = write("s/c.h5", compression="gzip")
    write_pack(stacks, tmp_path / "all.h5")
    return tmp_path / "all.h5"


def test_a_stack_in_a_pack_is_read_like_a_file(packed: Path, tmp_path: Path) -> None:
    assert is_pack(packed)
    assert not is_pack(tmp_path / "s/c.h5")
    assert list(read_members(packed)) == ["c.h5", "run/a.h5", "run/b.h5"]
    for name in read_members(packed):
        verify_stack(packed / name)
        with open_stack(packed / name) as inside, open_stack(tmp_path / "s" / name) as file:
            assert inside.digest == file.digest
            assert (inside.window(0, 6) == file.window(0, 6)).all()
            assert (inside.rgb(3) == file.rgb(3)).all()
            assert inside.summary()["bytes"] == file.summary()["bytes"]
            again = pickle.loads(pickle.dumps(inside))
            assert (again.field(2) == file.field(2)).all()
            again.close()


def test_the_dataset_finds_the_stacks_of_a_pack(packed: Path) -> None:
    names = VideoNames(packed)
    assert list(names) == ["c", "run/a", "run/b"]
    with open_stack(names["run/b"]) as stack:
        assert stack.source == "b"


def test_other_programs_find_the_files_in_it(packed: Path) -> None:
    with h5py.File(packed) as file:
        content = file["stacks/c.h5"][()].tobytes()
    with h5py.File(io.BytesIO(content)) as inside, open_stack(packed / "c.h5") as stack:
        np.testing.assert_array_equal(inside["flow"], stack.codes(0, 6))


def test_unpacking_gives_the_files_again(packed: Path, tmp_path: Path) -> None:
    for path in unpack(packed, tmp_path / "again"):
        original = tmp_path / "s" / path.relative_to(tmp_path / "again")
        assert path.read_bytes() == original.read_bytes()


def test_the_verbs_pack_and_unpack(packed: Path, tmp_path: Path) -> None:
    result = call("pack", tmp_path / "s", "--out", tmp_path / "two.h5")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'two.h5'}: 3 stacks\n")
    assert read_members(tmp_path / "two.h5") == read_members(packed)
    assert call("unpack", tmp_path / "two.h5", "--out", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out/run/a.h5").read_bytes() == (tmp_path / "s/run/a.h5").read_bytes()


def test_a_pack_is_not_a_stack_and_keeps_its_kind_when_cut(packed: Path) -> None:
    with pytest.raises(StackError, match=r"a pack of stacks.* such as .*all\.h5/c\.h5"):
        open_stack(packed)
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(StackError, match=r"a pack of stacks, damaged or truncated; pack it again"):
        open_stack(packed)


def test_two_runs_never_unpack_into_one_directory(packed: Path, tmp_path: Path) -> None:
    with lock_directory(tmp_path / "out", StackError):
        result = call("unpack", packed, "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "another run is writing into this directory" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_damaged_stack_is_not_unpacked_and_the_others_are(packed: Path, tmp_path: Path) -> None:
    data = bytearray(packed.read_bytes())
    offset, length = read_members(packed)["run/a.h5"]
    data[offset + length // 2] ^= 1
    packed.write_bytes(data)
    result = call("unpack", packed, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "run/a.h5: damaged" in result.stderr
    assert "1 of 3 stacks could not be unpacked" in result.stderr
    found = [path.name for path in sorted((tmp_path / "out").rglob("*.h5"))]
    assert found == ["c.h5", "b.h5"]
    with pytest.raises(StackError, match="1 of 3"):
        unpack(packed, tmp_path / "out")
    checked = call("verify", packed, "--delete-damaged", "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["checked"]) == (1, 3)
    assert "is a pack and is not deleted" in checked.stderr
    assert packed.exists()


def test_existing_files_and_equal_names_are_refused(packed: Path, tmp_path: Path) -> None:
    before = packed.read_bytes()
    assert "--overwrite" in call("pack", tmp_path / "s/run", "--out", packed).stderr
    assert packed.read_bytes() == before
    assert call("pack", tmp_path / "s", "--out", packed, "--overwrite").exit_code == 0
    assert packed.read_bytes() == before
    clash = call("pack", packed / "run", tmp_path / "s/run", "--out", tmp_path / "new.h5").stderr
    assert "all.h5/run/a.h5 and " in clash
    assert "s/run/a.h5: both would be a.h5" in clash
    result = call("unpack", packed, "--out", tmp_path / "s")
    assert "c.h5 and 2 more files exist" in result.stderr
    assert call("unpack", packed, "--out", tmp_path / "s", "--overwrite").exit_code == 0


def test_damaged_and_missing_files_give_one_line(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no such stack in the pack"):
        open_stack(packed / "run/z.h5")
    with pytest.raises(StackError, match="No such file"):
        open_stack(tmp_path / "missing" / "z.h5")
    with pytest.raises(StackError, match="not a pack"):
        open_stack(tmp_path / "s/c.h5" / "x.h5")
    with pytest.raises(ParameterError, match=r"'\.\./x\.h5'"):
        write_pack({"../x.h5": tmp_path / "s/c.h5"}, tmp_path / "bad.h5")
    with pytest.raises(ParameterError, match="got no stacks"):
        write_pack({}, tmp_path / "bad.h5")
    for content, reason in ((b"", "empty"), (b"no stack" * 500, "not an HDF5 file")):
        (tmp_path / "other.h5").write_bytes(content)
        with pytest.raises(StackError, match=rf"other\.h5: .*{reason}"):
            write_pack(
                {"a.h5": tmp_path / "s/c.h5", "b.h5": tmp_path / "other.h5"}, tmp_path / "bad.h5"
            )
    assert not (tmp_path / "bad.h5").exists()
    data = bytearray(packed.read_bytes())
    offset, length = read_members(packed)["run/a.h5"]
    data[offset + length // 2] ^= 1
    data[-40] ^= 1
    packed.write_bytes(data)
    with pytest.raises(StackError, match="pack"):
        open_stack(packed / "c.h5")
    data[-40] ^= 1
    packed.write_bytes(data)
    verify_stack(packed / "c.h5")
    with pytest.raises(StackError, match="damaged"):
        verify_stack(packed / "run/a.h5")


def test_verify_finds_each_changed_byte_of_a_pack(packed: Path) -> None:
    assert call("verify", packed).exit_code == 0
    content = packed.read_bytes()
    inside = [range(start, start + length) for start, length in read_members(packed).values()]
    places = [*range(0, len(content), len(content) // 12), 8, 40, len(content) - 1]
    places += [next(k for k in range(len(content)) if not any(k in one for one in inside))]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 4
        packed.write_bytes(damaged)
        assert call("verify", packed).exit_code == 1, place
