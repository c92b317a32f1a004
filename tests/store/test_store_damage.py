"""Files that were cut, flipped or zeroed: found by `verify_stack`, and never a crash."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from flowstream.codec.float32 import Float32
from flowstream.errors import StackError
from flowstream.store import create_stack, encode_jpeg, open_stack, verify_stack
from flowstream.store.heap import Heap

# HDF5 may crash or run for ever on a damaged file, so each kind of damage is met in a process of
# its own, under a time limit. It prints one word a case: `refused`, `harmless` where all that can
# be read is what was written, or what went wrong.
EXAMINE = """
import random, sys
from pathlib import Path
from flowstream.errors import StackError
from flowstream.store import open_stack, verify_stack

source, kind, cases = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
whole, victim, rng = source.read_bytes(), source.with_suffix(".victim"), random.Random(1)

def content(path):
    with open_stack(path) as stack:
        return (
            stack.attributes(), stack.codes(0, stack.num_fields).tobytes(),
            stack.frame_index.tobytes(), stack.time.tobytes(),
            [stack.jpeg(t) for t in range(stack.num_frames)],
            stack.backward_codes(0, stack.num_fields).tobytes(),
            [stack.consistent(k).tobytes() for k in range(stack.num_fields)],
            stack.consistency.tobytes(), stack.homographies.tobytes(), stack.inliers.tobytes(),
        )

def damaged(case):
    data, at = bytearray(whole), rng.randrange(len(whole))
    if kind == "cut":
        return data[: len(whole) * case // cases]
    if kind == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "zero":
        length = rng.choice([4, 16, 64, 512, 4096])
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == "noise":
        data[at : at + 8] = rng.randbytes(len(data[at : at + 8]))
    elif kind == "heap":
        heaps = [i for i in range(len(whole)) if whole.startswith(b"GCOL", i)]
        at, length = rng.choice(heaps) + rng.randrange(48), rng.choice([1, 4, 8])
        data[at : at + length] = rng.choice([bytes(length), b"\\xff" * length])
    return data

def read_all(path):
    with open_stack(path) as stack:
        for t in range(stack.num_fields):
            stack.field(t)
            stack.rgb(t)

truth = content(source)
for case in range(cases):
    victim.write_bytes(damaged(case))
    try:
        verify_stack(victim)
        outcome = "harmless" if content(victim) == truth else "MISSED"
    except StackError as error:
        outcome = "refused" if "\\n" not in str(error) else "RAGGED"
    try:
        read_all(victim)
    except StackError:
        pass
    print(outcome, flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "cases"), [("cut", 200), ("flip", 150), ("zero", 100), ("noise", 100), ("heap", 100)]
)
def test_damage_is_refused_or_harmless(write: Any, kind: str, cases: int) -> None:
    whole = write(backward=True, consistency=True, stabiliser={"name": "homography"})
    done = subprocess.run(
        [sys.executable, "-c", EXAMINE, whole, kind, str(cases)],
        capture_output=True,  # OpenCV's decoder complains about damaged images
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outcomes = Counter(done.stdout.split())
    assert sum(outcomes.values()) == cases
    assert outcomes.keys() <= {"refused", "harmless"}
    # a file of 40 kB holds some padding and unused space, but far from half of it
    assert outcomes["refused"] > cases / 3
    if kind == "cut":
        assert outcomes["refused"] == cases


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file, expected a stack"),
        (b"not a video, not a stack", "not an HDF5 file, expected a stack"),
        (b"\x89HDF\r\n\x1a\n", "damaged: "),
        (b"\x89HDF\r\n\x1a\n" + bytes(4096), "damaged: "),
    ],
)
def test_what_is_no_hdf5_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(StackError, match=message):
        open_stack(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="cannot read: No such file"):
        open_stack(tmp_path / "missing.h5")
    with pytest.raises(StackError, match="cannot read: Is a directory"):
        open_stack(tmp_path)


def test_an_hdf5_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["flow"] = np.zeros((2, 3, 4))
    with pytest.raises(StackError, match="an HDF5 file, but not a stack of flowstream"):
        verify_stack(tmp_path / "x.h5")


def test_a_cut_file_is_called_truncated(write: Any) -> None:
    path = write()
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(StackError, match="truncated; extract it again"):
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
        ("rgb", 2, np.frombuffer(encode_jpeg(np.zeros((20, 28, 3), np.uint8)), np.uint8)),
    ],
)
def test_a_changed_value_is_found(write: Any, name: str, index: Any, value: Any) -> None:
    path = write()
    edit(path, name, index, value)
    with pytest.raises(StackError, match="was changed after it was written"):
        verify_stack(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("source", "other.mp4"), ("fps", 24.0), ("method", '{"name": "tvl1"}'), ("sampling", "{}")],
)
def test_a_changed_attribute_is_found(write: Any, name: str, value: Any) -> None:
    path = write()
    with h5py.File(path, "r+") as file:
        file.attrs.modify(name, value)
    with pytest.raises(StackError, match="was changed after it was written"):
        verify_stack(path)


def test_frames_that_fall_times_and_vectors_that_are_not_finite_are_named(write: Any) -> None:
    path = write(codec=Float32())
    edit(path, "frame", 1, 9)
    with pytest.raises(StackError, match="/frame falls"):
        verify_stack(path)
    path = write(codec=Float32())
    edit(path, "time", 1, np.inf)
    with pytest.raises(StackError, match="/time holds values that are not finite"):
        verify_stack(path)
    path = write(codec=Float32())
    edit(path, "flow", (3, 4, 5), np.nan)
    with pytest.raises(StackError, match="is not finite"):
        verify_stack(path)


def test_an_image_that_was_broken_before_it_was_written_is_found(tmp_path: Path) -> None:
    size = (16, 16)
    whole = encode_jpeg(np.random.default_rng(2).integers(0, 255, (*size, 3), np.uint8))
    # the header as it was, of the scan nothing but its end
    broken = whole[: whole.index(b"\xff\xda")] + b"\xff\xda\xff\xd9"
    with create_stack(
        tmp_path / "x.h5",
        size=size,
        method={"name": "none"},
        sampling={},
        codec=Float32(),
        source="x",
        source_bytes=0,
        fps=0.0,
        source_size=size,
    ) as writer:
        writer.add_frame(0, 0.0, whole)
        writer.add_frame(1, 0.1, broken)
        writer.add_fields(np.zeros((1, 2, *size), np.float32))
    with pytest.raises(StackError, match=r"image of frame 1: .* no JPEG image"):
        verify_stack(tmp_path / "x.h5")


def test_a_heap_object_without_a_size_is_refused_rather_than_circled_for_ever(write: Any) -> None:
    path = write()
    data = bytearray(path.read_bytes())
    first = data.index(b"GCOL")
    # of its texts; within what opening a stack walks
    assert first < 65536
    data[first + 16 : first + 32] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(StackError, match=f"broken heap at byte {first}"):
        open_stack(path)


def test_objects_of_the_heap_are_what_hdf5_wrote(tmp_path: Path) -> None:
    items = [np.arange(n, dtype=np.uint8) for n in (1, 7, 8, 9, 100, 5000)]
    with h5py.File(tmp_path / "x.h5", "w", libver=("v110", "v110")) as file:
        data = file.create_dataset("x", (6,), h5py.vlen_dtype(np.uint8), chunks=(6,))
        for index, item in enumerate(items):
            data[index] = item
    with h5py.File(tmp_path / "x.h5", "r") as file:
        _, references = file["x"].id.read_direct_chunk((0,))
    heap = Heap(tmp_path / "x.h5")
    for n, item in enumerate(items):
        length, low, high, index = np.frombuffer(references[16 * n : 16 * n + 16], "<u4")
        assert length == len(item)
        assert heap.object(int(low) + (int(high) << 32), int(index)) == item.tobytes()
    with pytest.raises(StackError, match="broken heap"):
        heap.object(int(low) + (int(high) << 32), 999)
    heap.close()
