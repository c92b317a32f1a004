"""Stacks: one HDF5 file per video with its flow, its frames and the settings of both.

`create_stack` writes a stack, `open_stack` reads it, `verify_stack` checks it completely, and
`copy_stack` rewrites it with another compression. Everything here is imported on first use, so that
the names of the compressions are available without h5py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import Plugins, lazy_attributes

if TYPE_CHECKING:
    from flowstream.store.compression import Compression
    from flowstream.store.copying import copy_stack
    from flowstream.store.creating import create_stack
    from flowstream.store.header import Header
    from flowstream.store.items import ITEMS, bytes_per_pair, known_outputs
    from flowstream.store.jpeg import decode_jpeg, encode_jpeg
    from flowstream.store.outputs import OUTPUTS
    from flowstream.store.pack import is_pack, read_members
    from flowstream.store.packing import unpack, write_pack
    from flowstream.store.spec import FlowSpec
    from flowstream.store.stack import Stack, open_stack
    from flowstream.store.verify import verify_stack
    from flowstream.store.writer import StackWriter

COMPRESSIONS: Plugins[type[Compression]] = Plugins(
    "compression",
    {
        "zstd": "flowstream.store.compression:Zstd",
        "zstd9": "flowstream.store.compression:Zstd9",
        "lz4": "flowstream.store.compression:Lz4",
        "lz4hc": "flowstream.store.compression:Lz4hc",
        "gzip": "flowstream.store.compression:Gzip",
        "none": "flowstream.store.compression:NoCompression",
    },
)
"""Compressions of the chunks by name; see `flowstream.store.compression`."""

_LAZY = {
    "FlowSpec": "flowstream.store.spec",
    "Header": "flowstream.store.header",
    "ITEMS": "flowstream.store.items",
    "OUTPUTS": "flowstream.store.outputs",
    "Stack": "flowstream.store.stack",
    "StackWriter": "flowstream.store.writer",
    "bytes_per_pair": "flowstream.store.items",
    "copy_stack": "flowstream.store.copying",
    "create_stack": "flowstream.store.creating",
    "decode_jpeg": "flowstream.store.jpeg",
    "encode_jpeg": "flowstream.store.jpeg",
    "is_pack": "flowstream.store.pack",
    "known_outputs": "flowstream.store.items",
    "open_stack": "flowstream.store.stack",
    "read_members": "flowstream.store.pack",
    "unpack": "flowstream.store.packing",
    "verify_stack": "flowstream.store.verify",
    "write_pack": "flowstream.store.packing",
}

__all__ = [
    "COMPRESSIONS",
    "ITEMS",
    "OUTPUTS",
    "FlowSpec",
    "Header",
    "Stack",
    "StackWriter",
    "bytes_per_pair",
    "copy_stack",
    "create_stack",
    "decode_jpeg",
    "encode_jpeg",
    "is_pack",
    "known_outputs",
    "open_stack",
    "read_members",
    "unpack",
    "verify_stack",
    "write_pack",
]


__getattr__ = lazy_attributes(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
