"""Stacks: one HDF5 file per video, with its flow, its frames and what made them.

`create_stack` writes one, `open_stack` reads it, `verify_stack` checks all of it. Everything here
is imported when first used, so that the names of the compressions are known without h5py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstream.plugins import Plugins, lazy_attributes

if TYPE_CHECKING:
    from flowstream.store.compression import Compression
    from flowstream.store.creating import create_stack
    from flowstream.store.jpeg import decode_jpeg, encode_jpeg
    from flowstream.store.spec import FlowSpec
    from flowstream.store.stack import Stack, open_stack
    from flowstream.store.verify import verify_stack
    from flowstream.store.writer import StackWriter

COMPRESSIONS: Plugins[Compression] = Plugins(
    "compression",
    {
        "lz4hc": "flowstream.store.compression:lz4hc",
        "zstd": "flowstream.store.compression:zstd",
        "gzip": "flowstream.store.compression:gzip",
        "none": "flowstream.store.compression:none",
    },
)
"""Ways to compress `/flow` by name; see `flowstream.store.compression`."""

_LAZY = {
    "FlowSpec": "flowstream.store.spec",
    "Stack": "flowstream.store.stack",
    "StackWriter": "flowstream.store.writer",
    "create_stack": "flowstream.store.creating",
    "decode_jpeg": "flowstream.store.jpeg",
    "encode_jpeg": "flowstream.store.jpeg",
    "open_stack": "flowstream.store.stack",
    "verify_stack": "flowstream.store.verify",
}

__all__ = [
    "COMPRESSIONS",
    "FlowSpec",
    "Stack",
    "StackWriter",
    "create_stack",
    "decode_jpeg",
    "encode_jpeg",
    "open_stack",
    "verify_stack",
]


__getattr__ = lazy_attributes(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
