"""Files made to do harm: each rule of reading, for files that are otherwise in order.

Two kinds: stacks that another program changed through HDF5 (links, filters, layouts), and stacks
whose index was forged and signed again, as an attacker would who knows the format.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from flowstream.errors import StackError
from flowstream.store import open_stack, verify_stack
from tests.store.conftest import SIZE, make_header
from tests.store.forging import Content, Forge, first_block, forge, set_block, set_header, set_item

Change = Callable[[h5py.File], None]


def replace(name: str, make: Callable[[h5py.File], None]) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        make(file)

    return change


def external_link(file: h5py.File) -> None:
    file["flow"] = h5py.ExternalLink("pipe.h5", "/flow")


def soft_link(file: h5py.File) -> None:
    file["flow"] = h5py.SoftLink("/frame")


def external_storage(file: h5py.File) -> None:
    file.create_dataset(
        "flow", (12, *SIZE), np.uint8, external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)]
    )


def virtual_layout(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((12, *SIZE), np.uint8)
    layout[:] = h5py.VirtualSource("other.h5", "flow", (12, *SIZE), np.uint8)
    file.create_virtual_dataset("flow", layout)


def no_chunks(file: h5py.File) -> None:
    file.create_dataset("flow", (12, *SIZE), np.uint8, chunks=(2, *SIZE))


def absurd_size(file: h5py.File) -> None:
    file.create_dataset("flow", (12, 30_000, 30_000), np.uint8, chunks=(2, 30_000, 30_000))


def foreign_filter(file: h5py.File) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((2, *SIZE))
    # number of SZ3, whose filter crashes on invalid data
    creation.set_filter(32024, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    space = h5py.h5s.create_simple((12, *SIZE))
    flow = h5py.h5d.create(file.id, b"flow", h5py.h5t.STD_U8LE, space, dcpl=creation)
    flow.write_direct_chunk((0, 0, 0), b"garbage" * 50)


CHANGES = [
    external_link,
    soft_link,
    external_storage,
    virtual_layout,
    no_chunks,
    absurd_size,
    foreign_filter,
]


@pytest.mark.parametrize("make", CHANGES, ids=lambda make: make.__name__)
def test_a_stack_changed_through_hdf5_is_refused_before_hdf5_sees_it(
    write: Any, make: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    if sys.platform != "win32":
        os.mkfifo(path.parent / "pipe.h5")  # who opens it waits for ever
    with h5py.File(path, "r+") as file:
        replace("flow", make)(file)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("HDF5 was asked to open the file")

    monkeypatch.setattr(h5py, "File", never)
    monkeypatch.setattr(h5py.h5f, "open", never)
    for refuse in (open_stack, verify_stack):
        with pytest.raises(StackError, match="changed by another program") as refusal:
            refuse(path)
        assert "\n" not in str(refusal.value)


def overlap(content: Content, blocks: np.ndarray[Any, Any]) -> None:
    k = first_block(content, "flow")
    blocks["offset"][k + 1] = blocks["offset"][k]


def drop_block(content: Content, blocks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    content["items"]["flow"]["blocks"] -= 1
    return np.delete(blocks, first_block(content, "flow"))


def drop_item(content: Content, blocks: object) -> None:
    content["items"]["tame"] = content["items"].pop("time")


def deep(content: Content, blocks: object) -> bytes:
    return b'{"header":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def long_integer(content: Content, blocks: object) -> bytes:
    return (
        json.dumps(content)
        .replace('"frame": {"shape": [7]', '"frame": {"shape": [7' + "0" * 5000 + "]")
        .encode()
    )


def huge_text(content: Content, blocks: object) -> bytes:
    return json.dumps(content).encode() + b" " * 2**21


FORGED: dict[str, tuple[Forge, str]] = {
    "absurd size": (set_header(height=30_000, width=30_000), "at most 33554432 pixels"),
    "large size": (set_header(height=4000, width=4000), "/flow has shape"),
    "no size": (set_header(height=0), "at least 1"),
    "negative size": (set_header(height=-5), "expected 0 or more"),
    "size as text": (set_header(height="many"), "size: got"),
    "flow longer than its chunks": (set_item("flow", shape=[2**40, *SIZE]), "/flow has shape"),
    "frames longer than the file": (set_item("frame", shape=[2**30]), "/flow has shape"),
    "frames beyond all bounds": (set_item("frame", shape=[2**62]), "expected at least 2 frames"),
    "a single frame": (set_item("frame", shape=[1]), "expected at least 2 frames"),
    "negative shape": (set_item("rgb", shape=[-5]), "its index is invalid"),
    "images longer than their chunks": (set_item("rgb", shape=[2**50]), "chunks, expected"),
    "shape no list": (set_item("rgb", shape=7), "its index is invalid"),
    "chunk beyond the end": (set_block("flow", offset=2**60), "beyond the end"),
    "offset that wraps around": (set_block("flow", offset=2**64 - 8), "beyond the end"),
    "chunk over the end": (set_block("flow", length=2**31), "beyond the end"),
    "chunk without bytes": (set_block("flow", length=0), "never written"),
    "chunk of too few bytes": (set_block("rgb", length=9), "do not fit"),
    "contiguous item of too few bytes": (set_block("time", length=9), "do not fit"),
    "overlapping chunks": (overlap, "overlap"),
    "a chunk less": (drop_block, "has 5 chunks, expected 6"),
    "more blocks": (set_item("flow", blocks=2**40), "chunks, expected|blocks, expected"),
    "an item renamed": (drop_item, "/time is missing"),
    "an output more": (lambda content, _: content["outputs"].append("backward"), "is missing"),
    "an output less": (lambda content, _: content["outputs"].clear(), "is unknown"),
    "an unknown output": (lambda content, _: content["outputs"].append("x"), "unknown output 'x'"),
    "outputs no names": (lambda content, _: content["outputs"].append([]), "."),
    "unknown compression": (set_header(compression="rot13"), "unknown compression 'rot13'"),
    "compression a table": (set_header(compression={}), "compression"),
    "unknown codec": (set_header(codec="centered8"), "Did you mean 'centred8'"),
    "codec a list": (set_header(codec=[]), "."),
    "bound out of range": (set_header(bound=-3.0), "invalid bound.*got -3.0"),
    "bound not a number": (set_header(bound=float("nan")), "bound"),
    "fps infinite": (set_header(fps=float("inf")), "fps: got inf"),
    "fps of 400 digits": (set_header(fps=10**400), "fps: got"),
    "clipped beyond 1": (set_header(clipped=1.5), "clipped: got 1.5"),
    "method no JSON": (set_header(method="{"), "'method' is not JSON"),
    "method deep": (set_header(method="[" * 50_000), "'method' is not JSON"),
    "method no table": (set_header(method="[1]"), "expected a table"),
    "source a number": (set_header(source=3), "source"),
    "versions missing": (set_header(versions=None), "versions"),
    "another format": (set_header(format_version=3), "stack format 3"),
    "header digest": (
        lambda content, _: content["header"].update(fps=24.0),
        "digest of its header",
    ),
    "deep JSON": (deep, "its index is invalid"),
    "an integer of 5000 digits": (long_integer, "its index is invalid"),
    "megabytes of JSON": (huge_text, "an index of"),
}


@pytest.mark.parametrize("name", list(FORGED))
def test_a_forged_index_is_refused_when_opened(write: Any, name: str) -> None:
    path = write()
    change, message = FORGED[name]
    forge(path, change)
    with pytest.raises(StackError, match=message) as refusal:
        open_stack(path)
    text = str(refusal.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text


def test_a_header_with_every_field_forged_never_breaks_out(write: Any) -> None:
    """Put each of many values into each field: whatever is not refused must still be a stack."""
    lines: list[str] = []
    values: list[object] = [None, True, -1, 0, 2**63, 1e308, "", "x" * 300, [], {}, "\0", "\udcff"]
    for name in make_header().record():
        for value in values:
            path = write()
            try:
                forge(path, set_header(**{name: value}))
            except UnicodeEncodeError:
                continue
            try:
                with open_stack(path) as stack:
                    stack.summary()
                    stack.field(0)
            except StackError as error:
                lines.append(str(error))
    assert lines
    assert not any("\n" in line for line in lines)
