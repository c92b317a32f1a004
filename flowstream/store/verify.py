"""Complete check of a stack: the checks of opening it, and every byte and value in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import StackError
from flowstream.store.index import digest_of, gaps
from flowstream.store.item import Item
from flowstream.store.opening import OpenedFile, one_line
from flowstream.store.stack import Stack, open_stack

_BLOCK_BYTES = 2**22
"""Number of bytes of an item that are read at once, unless one entry is larger."""

_READ_BYTES = 2**20


def verify_stack(path: str | Path) -> None:
    """Read a stack completely, and compare it with its digests and its header.

    A single changed bit anywhere in the file is found. Only a few fields are in memory at a time,
    regardless of the length of the stack.

    Raises
    ------
    StackError
        If the file is not a complete, unchanged stack: if `open_stack` rejects it, a digest
        differs, a value is invalid, the header states other shares, or an image cannot be decoded
        or has another size.
    """
    with open_stack(path) as stack, one_line(stack.path):
        opened = stack.open_file()
        _check_structure(opened)
        at_bound: dict[str, int] = {}
        for name, stored in opened.index.items.items():
            digest = digest_of()
            for start, values in _entries(stack, stored.item, stored.shape[0]):
                digest.update(values.data.cast("B"))
                _check_values(stack, stored.item, values, start=start)
                if stored.item.packing == "codec":
                    fields = values.reshape(-1, 2, *stack.size)
                    at_bound[name] = at_bound.get(name, 0) + stack.codec.at_bound(fields)
            if digest.hexdigest() != stored.digest:
                raise StackError(f"{stack.path}: the digest of /{name} differs; extract it again")
        _check_shares(stack, at_bound)
        if stack.has_rgb:
            _check_images(stack)


def check_bytes(path: Path) -> None:
    """Compare all bytes of a stack with their checksums, without decoding them.

    Raises
    ------
    StackError
        If the file is not a complete stack, or a checksum differs.
    """
    with open_stack(path) as stack, one_line(stack.path):
        opened = stack.open_file()
        _check_structure(opened)
        for stored in opened.index.items.values():
            opened.check_blocks(stored.blocks)


def _check_structure(opened: OpenedFile) -> None:
    """Compare all bytes outside the values with their digest."""
    index, digest = opened.index, digest_of()
    for first, last in gaps([stored.blocks for stored in index.items.values()], index.start):
        for offset in range(first, last, _READ_BYTES):
            digest.update(opened.read_bytes(offset, min(_READ_BYTES, last - offset)))
    if digest.hexdigest() != index.structure:
        raise StackError(
            "damaged, or changed by another program: the digest of its metadata differs; "
            "extract it again"
        )


def _entries(stack: Stack, item: Item, length: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the entries of an item in order, with the index of the first, some at a time."""
    step = max(1, _BLOCK_BYTES // max(1, item.entry_bytes(stack.size, stack.codec)))
    # Whole chunks, so that no chunk is decompressed twice; an item of one block is read at once.
    step = max(1, step // item.chunk) * item.chunk if item.chunk else max(1, length)
    for start in range(0, length, step):
        yield start, stack.read(item.name, start, min(length, start + step))


def _check_values(stack: Stack, item: Item, values: NDArray[Any], *, start: int) -> None:
    if item.check is not None:
        try:
            item.check(values)
        except ValueError as error:
            raise StackError(f"{stack.path}: /{item.name} {error}") from error
    if item.name == "consistent":
        shares = stack.read("consistency", start, start + len(values))
        mask = np.unpackbits(values, axis=-1, count=stack.size[1])
        if not (np.packbits(mask, axis=-1) == values).all():
            raise StackError(f"{stack.path}: /consistent has bits beyond the last column")
        if (mask.mean(axis=(1, 2)).astype(np.float32) != shares).any():
            raise StackError(f"{stack.path}: /consistency differs from the masks")


def _check_shares(stack: Stack, at_bound: dict[str, int]) -> None:
    vectors = stack.num_fields * math.prod(stack.size)
    expected = {"clipped": stack.header.clipped, "clipped_backward": stack.header.clipped_backward}
    found = {name.replace("flow", "clipped"): count for name, count in at_bound.items()}
    for name, share in expected.items():
        counted = found[name] / vectors if name in found else None
        if counted != share:
            raise StackError(f"{stack.path}: {name} is {share}, but {counted} of the flow")


def _check_images(stack: Stack) -> None:
    for t in range(stack.num_frames):
        stack.rgb(t)
    end = int(stack.read("rgb_end", stack.num_frames - 1)[0])
    length = stack.open_file().index.items["rgb"].shape[0]
    if end != length:
        raise StackError(f"{stack.path}: images end at byte {end} of {length}")
