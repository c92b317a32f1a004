"""Checks of the claims of an index: places, shapes and lengths of the stored values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.errors import StackError
from flowstream.store.item import COORDINATE
from flowstream.store.items import ITEMS
from flowstream.types import Size

if TYPE_CHECKING:
    from flowstream.store.index import Index, Stored

_MOST_FRAMES = 2**31 - 1


def check_places(blocks: NDArray[Any], start: int) -> None:
    """Raise `StackError` if blocks are empty, overlap or are outside the file."""
    if not len(blocks):
        return
    # The ufuncs are called directly, because a set of 100,000 stacks does this 100,000 times.
    offsets, lengths = blocks["offset"], blocks["length"].astype(np.uint64)
    least, most, last = np.minimum.reduce, np.maximum.reduce, offsets + lengths
    if not least(lengths):
        raise StackError("a chunk was never written")
    if most(offsets) > start or most(lengths) > start or most(last) > start:
        raise StackError("a chunk extends beyond the end of the file")
    order = np.argsort(offsets, kind="stable")
    if np.logical_or.reduce(offsets[order][1:] < last[order][:-1]):
        raise StackError("two chunks overlap")


def check_shapes(index: Index) -> None:
    """Raise `StackError` if shapes do not follow from the size and the number of frames."""
    frames, size = index.items[COORDINATE].shape, index.header.size
    if len(frames) != 1 or not 2 <= frames[0] <= _MOST_FRAMES:
        raise StackError(f"/{COORDINATE} has shape {frames}, expected at least 2 frames")
    for name, stored in index.items.items():
        item = stored.item
        length, (entry, _) = item.length(size, frames[0]), _entry(name, size, index.header.codec)
        expected = (stored.shape[0] if length is None else length, *entry)
        if stored.shape != expected:
            raise StackError(f"/{name} has shape {stored.shape}, expected {expected}")


@lru_cache(maxsize=1024)
def _entry(name: str, size: Size, codec: Codec) -> tuple[tuple[int, ...], int]:
    """Return the shape of an entry of an item, and its number of bytes."""
    return ITEMS[name].entry_shape(size), ITEMS[name].entry_bytes(size, codec)


def check_lengths(stored: Stored, index: Index) -> None:
    """Raise `StackError` if the values of an item do not fit in its blocks."""
    item, header = stored.item, index.header
    entries, entry = stored.shape[0], _entry(item.name, header.size, header.codec)[1]
    lengths = stored.blocks["length"]
    if item.chunk:
        chunks, raw = -(-entries // item.chunk), item.chunk * entry
    else:
        chunks, raw = min(entries, 1), entries * entry
    if len(lengths) != chunks:
        raise StackError(f"/{item.name} has {len(lengths)} chunks, expected {chunks}")
    if not chunks:
        return
    ratio = index.compression.max_ratio if item.compressed else 1
    least, most = int(np.minimum.reduce(lengths)), int(np.maximum.reduce(lengths))
    # No compression makes data larger than by a tenth plus a kilobyte.
    limit = raw if ratio == 1 else 1.1 * raw + 1024
    if least * ratio < raw or most > limit:
        raise StackError(
            f"/{item.name}: chunks of {raw} bytes do not fit in the {int(lengths.sum())} bytes "
            "that the file has for them"
        )
