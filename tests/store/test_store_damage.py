"""Damaged files are refused in one line; the campaign and hostile files have their own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from flowstream.codec.float32 import Float32
from flowstream.errors import StackError
from flowstream.store import create_stack, encode_jpeg, open_stack, verify_stack
from tests.store.conftest import make_header
from tests.store.whole_stack import KINDS, make


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file, expected a stack"),
        (b"not a video, not a stack", "not an HDF5 file, expected a stack"),
        (b"\x89HDF\r\n\x1a\n", "not a stack of flowstream"),
        (b"\x89HDF\r\n\x1a\n" + bytes(4096), "not a stack of flowstream"),
    ],
)
def test_a_file_that_is_not_a_stack_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(StackError, match=message):
        open_stack(path)


def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot read: No such file"):
        open_stack(tmp_path / "missing.h5")
    with pytest.raises(StackError, match="cannot read: Is a directory"):
        open_stack(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in directories")
def test_a_pipe_or_device_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", Path("/dev/zero")):
        with pytest.raises(StackError, match=f"{path}: cannot read: Not a regular file"):
            open_stack(path)


def test_an_hdf5_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["flow"] = np.zeros((2, 3, 4))
    with pytest.raises(StackError, match="an HDF5 file, but not a stack of flowstream"):
        verify_stack(tmp_path / "x.h5")


def test_a_stack_of_format_1_is_refused_by_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", libver=("v110", "v110")) as file:
        file["flow"] = np.zeros((2, 3, 4))
        file.attrs["format"] = "flowstream.stack"
        file.attrs["format_version"] = 1
    with pytest.raises(StackError, match="a stack of format 1") as refusal:
        open_stack(tmp_path / "x.h5")
    assert "extract it again" in str(refusal.value)


def test_other_files_are_not_called_format_1(tmp_path: Path, write: Any) -> None:
    path = write()
    content = path.read_bytes()[:-1].replace(b"header_digest", b"header_dxgest")
    path.write_bytes(content)
    with pytest.raises(StackError, match="truncated"):
        open_stack(path)
    with h5py.File(tmp_path / "x.h5", "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = "flowstream.stack"
    with pytest.raises(StackError, match="attributes of a stack, but damaged or without fields"):
        open_stack(tmp_path / "x.h5")


def test_a_cut_file_is_called_truncated(write: Any) -> None:
    path = write()
    whole = path.read_bytes()
    for length in (len(whole) // 2, len(whole) * 3 // 4):
        path.write_bytes(whole[:length])
        with pytest.raises(StackError, match="truncated; extract it again"):
            open_stack(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(StackError, match="truncated"):
        open_stack(path)


def edit(path: Path, name: str, index: Any, value: Any) -> None:
    with h5py.File(path, "r+") as file:
        file[name][index] = value


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("flow", (3, 4, 5), 200),
        ("frame", 1, 1),
        ("time", 2, 0.17),
        ("rgb", 2, 7),
        ("flow_backward", (3, 2, 2), 1.25),
        ("consistent", (1, 2, 0), 0x55),
        ("consistency", (2,), 0.5),
        ("homography", (0, 1, 2), 3.0),
        ("inliers", (1,), 0.25),
    ],
)
def test_a_value_changed_by_another_program_is_found_when_opened(
    write: Any, name: str, index: Any, value: Any
) -> None:
    path = write(outputs=["rgb", *KINDS], stabiliser={"name": "x"}, compression="none")
    edit(path, name, index, value)
    with pytest.raises(StackError, match="changed by another program"):
        open_stack(path)


@pytest.mark.parametrize(
    ("name", "value"), [("source", "other.mp4"), ("fps", 24.0), ("sampling", "{}")]
)
def test_an_attribute_changed_by_another_program_is_found(
    write: Any, name: str, value: Any
) -> None:
    path = write()
    with h5py.File(path, "r+") as file:
        file.attrs.modify(name, value)
    with pytest.raises(StackError, match="changed by another program"):
        open_stack(path)


def test_a_damaged_field_is_refused_when_read_and_others_are_not(write: Any) -> None:
    path = write()
    with open_stack(path) as stack:
        offset = int(stack.open_file().index.items["flow"].blocks["offset"][4])
    data = bytearray(path.read_bytes())
    data[offset + 20] ^= 1
    path.write_bytes(data)
    with open_stack(path) as stack:
        assert stack.field(1).any()
        with pytest.raises(StackError, match=f"damaged at byte {offset}: a checksum differs"):
            stack.field(4)
    with pytest.raises(StackError, match=f"damaged at byte {offset}"):
        verify_stack(path)


def test_an_image_that_was_broken_before_it_was_written_is_found(tmp_path: Path) -> None:
    size = (16, 16)
    whole = encode_jpeg(np.random.default_rng(2).integers(0, 255, (*size, 3), np.uint8))
    # the header as it was, of the scan nothing but its end
    broken = whole[: whole.index(b"\xff\xda")] + b"\xff\xda\xff\xd9"
    header = make_header(size=size, codec=Float32())
    with create_stack(tmp_path / "x.h5", header) as writer:
        writer.add_frame(0, 0.0, whole)
        writer.add_frame(1, 0.1, broken)
        writer.add_fields(np.zeros((1, 2, *size), np.float32))
    with pytest.raises(StackError, match=r"image of frame 1: .* not a JPEG image"):
        verify_stack(tmp_path / "x.h5")


# In a process with little memory and time, so that neither a loop nor an allocation without bound
# passes for a refusal.
FLIP_EVERY_BYTE = """
import resource, sys
from pathlib import Path
from flowstream.errors import StackError
from flowstream.store import verify_stack

resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
path = Path(sys.argv[1])
whole = path.read_bytes()
missed = []
with path.open("r+b") as file:
    for offset in range(int(sys.argv[2]), len(whole), int(sys.argv[3])):
        file.seek(offset)
        file.write(bytes([whole[offset] ^ 1 << offset % 8]))
        file.flush()
        try:
            verify_stack(path)
            missed.append(offset)
        except StackError as error:
            assert str(error).startswith(str(path)) and "\\n" not in str(error), str(error)
        file.seek(offset)
        file.write(whole[offset : offset + 1])
        file.flush()
verify_stack(path)
assert not missed, missed
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of memory")
def test_one_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "x.h5", KINDS)
    done = subprocess.run(
        # 13 shares no factor with 8, so that all bits of a byte and all alignments are tried
        [sys.executable, "-c", FLIP_EVERY_BYTE, path, "0", "13"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
