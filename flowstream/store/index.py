"""Index of a stack: offsets and digests of all values in the file.

The index follows the last byte of the HDF5 file. Stacks are read through the index, never through
the HDF5 library, because damaged or hostile metadata can make that library loop, crash or allocate
unlimited memory, and links can make it open other files. The index is small, has its own digest,
and is checked before any value is read.

    JSON text | table of blocks | signature, sizes, start, digest

A block is a run of bytes that HDF5 stored for an item: a chunk, or all of a contiguous dataset. Its
entry holds its offset, length and CRC-32. The digest covers the index up to itself.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import FlowstreamError, StackError
from flowstream.store import COMPRESSIONS
from flowstream.store.compression import Compression
from flowstream.store.header import FORMAT_VERSION, Header, digest_record
from flowstream.store.index_checks import check_lengths, check_places, check_shapes
from flowstream.store.item import COORDINATE, Item
from flowstream.store.items import items_of

SIGNATURE = b"FSINDEX\x02"

BLOCK = np.dtype([("offset", "<u8"), ("length", "<u4"), ("crc", "<u4")])

BLOCK_NONE = np.zeros(0, BLOCK)

_END = struct.Struct("<8sIIQ")
_DIGEST_BYTES = 16
END_BYTES = _END.size + _DIGEST_BYTES

_LONGEST_JSON = 2**20


@dataclass(frozen=True, eq=False)
class Stored:
    """An item as it is stored in one file.

    Parameters
    ----------
    item : Item
    shape : tuple of int
        Shape of the dataset as stored, with packed bits.
    digest : str
        Digest of the stored values before compression, in C order, little-endian.
    blocks : array of BLOCK
        The chunks in order, or the one contiguous block.
    """

    item: Item
    shape: tuple[int, ...]
    digest: str
    blocks: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Index:
    """Content of a stack file.

    Parameters
    ----------
    header : Header
    outputs : frozenset of str
        Optional outputs that the stack holds.
    items : mapping from name to Stored
    structure : str
        Digest of all bytes before the index that are outside of blocks: HDF5's metadata and gaps.
    start : int
        Offset at which the HDF5 file ends and the index starts.
    digest : str
        Digest of the index; identifies the content of the stack.
    """

    header: Header
    outputs: frozenset[str]
    items: Mapping[str, Stored]
    structure: str
    start: int
    digest: str = ""

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.items[COORDINATE].shape[0]

    @property
    def compression(self) -> type[Compression]:
        """Compression of the chunks."""
        return COMPRESSIONS[self.header.compression]

    def encode(self) -> bytes:
        """Return the index as bytes, ready to be appended to the file."""
        content = {
            "header": self.header.record(),
            "header_digest": self.header.digest,
            "outputs": sorted(self.outputs),
            "items": {
                name: {
                    "shape": list(stored.shape),
                    "digest": stored.digest,
                    "blocks": len(stored.blocks),
                }
                for name, stored in self.items.items()
            },
            "structure": self.structure,
        }
        text = json.dumps(content).encode("ascii")
        blocks = np.concatenate([stored.blocks for stored in self.items.values()])
        end = _END.pack(SIGNATURE, len(text), len(blocks), self.start)
        body = text + blocks.tobytes() + end
        return body + digest_of(body).digest()


def digest_of(data: bytes = b"") -> hashlib.blake2b:
    """Return the digest used throughout the format, BLAKE2b of 16 bytes, fed with `data`."""
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES)


def gaps(blocks: Iterable[NDArray[Any]], end: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each range of bytes before `end` that is outside of all blocks."""
    merged = np.concatenate([BLOCK_NONE, *blocks])
    merged = merged[np.argsort(merged["offset"], kind="stable")]
    first = 0
    for offset, length, _ in merged.tolist():
        if offset > first:
            yield first, offset
        first = offset + length
    if end > first:
        yield first, end


def index_length(end: bytes) -> tuple[int, int] | None:
    """Return the length and the start of the index; None if `end` is not the end of an index."""
    if len(end) != END_BYTES or not end.startswith(SIGNATURE):
        return None
    _, text, blocks, start = _END.unpack_from(end)
    return text + blocks * BLOCK.itemsize + END_BYTES, start


def decode_index(data: bytes) -> Index:
    """Read an index and check each of its claims.

    Parameters
    ----------
    data : bytes
        The whole index; `index_length` gives its length.

    Raises
    ------
    StackError
        If the index is damaged, or has values that do not fit the file. The message has no path.
    """
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if digest_of(body).digest() != digest:
        raise StackError("damaged: the digest of its index differs; extract it again")
    _, length, count, start = _END.unpack_from(body, len(body) - _END.size)
    if length > _LONGEST_JSON:
        raise StackError(f"an index of {length} characters, expected at most {_LONGEST_JSON}")
    content = _parse(body[:length])
    header = _read_header(content)
    blocks = np.frombuffer(body, BLOCK, count, offset=length)
    check_places(blocks, start)
    items = _read_items(content, blocks, header)
    outputs = frozenset(stored.item.output for stored in items.values() if stored.item.output)
    structure = str(content["structure"])
    index = Index(header, outputs, items, structure, start, digest.hex())
    check_shapes(index)
    for stored in items.values():
        check_lengths(stored, index)
    return index


def _parse(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
        items = content["items"]
        for record in items.values():
            shape, count = record["shape"], record["blocks"]
            plain = all(type(length) is int for length in [*shape, count])
            if not plain or not 0 <= min([*shape, count]) <= max([*shape, count]) < 2**63:
                raise ValueError("got lengths that are not valid counts")
            if not isinstance(record["digest"], str):
                raise ValueError("got a digest that is not a string")
        if not isinstance(content["header"], dict) or not isinstance(content["outputs"], list):
            raise ValueError("its header is not a table")
        content["structure"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StackError(f"its index is invalid: {error}") from error
    return dict(content)


def _read_header(content: dict[str, Any]) -> Header:
    record = content["header"]
    if record.get("format_version") != FORMAT_VERSION:
        raise StackError(
            f"stack format {record.get('format_version')!r}, expected {FORMAT_VERSION}; "
            "update flowstream with: pip install -U flowstream"
        )
    try:
        header = Header.from_record(record)
        COMPRESSIONS[header.compression]
    except FlowstreamError as error:
        raise StackError(str(error)) from error
    try:
        digest = digest_record(record)
    except RecursionError as error:
        raise StackError(f"its header is invalid: {error}") from error
    if content.get("header_digest") != digest:
        raise StackError("the digest of its header differs; extract it again")
    return header


def _read_items(content: dict[str, Any], blocks: NDArray[Any], header: Header) -> dict[str, Stored]:
    try:
        expected = {item.name: item for item in items_of(content["outputs"])}
    except (FlowstreamError, TypeError) as error:
        raise StackError(str(error)) from error
    records = content["items"]
    for name in [*expected, *records]:
        if name not in records or name not in expected:
            raise StackError(f"/{name} is {'unknown' if name in records else 'missing'}")
    items, first = {}, 0
    for name, record in records.items():
        last = first + record["blocks"]
        shape = tuple(record["shape"])
        items[name] = Stored(expected[name], shape, record["digest"], blocks[first:last])
        first = last
    if first != len(blocks):
        raise StackError(f"its index has {len(blocks)} blocks, expected {first}")
    return items
