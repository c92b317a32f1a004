"""Chunks and images that state more than they should are refused before memory is allocated."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
import zstandard

from flowstream.errors import StackError
from flowstream.store import encode_jpeg, open_stack, verify_stack
from tests.store.conftest import SIZE
from tests.store.forging import put_chunk


def test_a_chunk_that_expands_without_bound_is_refused_before_it_is_decompressed(
    write: Any,
) -> None:
    # a frame of 10 bytes that states a content of 2^60 bytes
    frame = b"\x28\xb5\x2f\xfd\xe0" + (2**60).to_bytes(8, "little")
    assert zstandard.frame_content_size(frame) == 2**60
    path = write(compression="zstd")
    put_chunk(path, "flow", frame + bytes(90))
    with open_stack(path) as stack, pytest.raises(StackError, match="another length"):
        stack.field(0)
    path = write(compression="lz4hc")
    for claimed in (2**60, 1120):  # 1120 bytes are in a chunk: two planes of 20x28
        put_chunk(path, "flow", struct.pack(">QII", claimed, 1120, 90) + bytes(90))
        with open_stack(path) as stack, pytest.raises(StackError, match="chunk"):
            stack.field(0)
    path = write(compression="gzip")
    with open_stack(path) as stack:
        length = int(stack.open_file().index.items["flow"].blocks["length"][0])
    bomb = zlib.compress(bytes(400_000), 9)
    assert len(bomb) < length
    put_chunk(path, "flow", bomb)
    with open_stack(path) as stack, pytest.raises(StackError, match="another length"):
        stack.field(0)
    for data in (b"garbage" * 20, zlib.compress(bytes(7))[:-3]):
        put_chunk(path, "flow", data + bytes(60))
        with open_stack(path) as stack, pytest.raises(StackError, match="chunk"):
            stack.field(0)


def test_an_image_that_states_another_size_is_refused_before_it_is_decoded(write: Any) -> None:
    # a small scan under a header of 65,500 x 65,500 pixels, which would take 12 GB
    jpeg = bytearray(encode_jpeg(np.zeros((*SIZE, 3), np.uint8)))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xdc\xff\xdc"
    path = write()
    with open_stack(path) as stack:
        chunk = bytearray(
            stack.open_file().read_block(stack.open_file().index.items["rgb"].blocks[0])
        )
        end = int(stack.read("rgb_end")[0])
    assert len(jpeg) <= end
    chunk[:end] = bytes(jpeg[:-2]) + bytes(end - len(jpeg)) + b"\xff\xd9"
    put_chunk(path, "rgb", bytes(chunk))
    with open_stack(path) as stack, pytest.raises(StackError, match=r"65500.*expected \(20, 28\)"):
        stack.rgb(0)


@pytest.mark.parametrize("ends", [[-1] * 7, [0] * 7, [9, 5, 3, 2, 1, 1, 1], [2**62] * 7])
def test_ends_of_images_that_make_no_sense_are_refused(write: Any, ends: list[int]) -> None:
    path = write()
    put_chunk(path, "rgb_end", np.array(ends, "<i8").tobytes())
    with open_stack(path) as stack:
        for t in range(7):
            with pytest.raises((StackError, ValueError)):
                stack.rgb(t)
    with pytest.raises(StackError):
        verify_stack(path)
