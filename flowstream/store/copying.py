"""Rewrite a stack with another compression or codec, without estimating its flow again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.codec import Codec
from flowstream.errors import ParameterError
from flowstream.store.creating import create_stack
from flowstream.store.items import ITEMS
from flowstream.store.stack import Stack, open_stack
from flowstream.store.writer import StackWriter

_PAIRS = 16


def copy_stack(
    source: str | Path,
    target: str | Path,
    *,
    compression: str | None = None,
    codec: Codec | None = None,
) -> None:
    """Write a copy of a stack with another compression, another codec, or both.

    If the codec is the same, all values and their digests are the same.

    Parameters
    ----------
    source, target : path
        Paths of two different files.
    compression : str, optional
        Key of COMPRESSIONS; the default is the compression of `source`.
    codec : Codec, optional
        Codec of the copy; the default is the codec of `source`.

    Raises
    ------
    ParameterError
        If `source` and `target` are one file, or the compression is unknown.
    StackError
        If `source` is damaged, or `target` cannot be written.
    """
    source, target = Path(source), Path(target)
    if target.exists() and target.samefile(source):
        raise ParameterError(f"{target}: source and target are the same file; name another target")
    with open_stack(source) as stack:
        header = dataclasses.replace(
            stack.header,
            compression=compression or stack.header.compression,
            codec=codec or stack.codec,
        )
        with create_stack(target, header, outputs=stack.outputs) as writer:
            _copy_frames(stack, writer)
            _copy_fields(stack, writer)


def _copy_frames(stack: Stack, writer: StackWriter) -> None:
    for t, (index, seconds) in enumerate(
        zip(stack.frame_index.tolist(), stack.time.tolist(), strict=True)
    ):
        writer.add_frame(index, seconds, stack.jpeg(t) if stack.has_rgb else None)


def _copy_fields(stack: Stack, writer: StackWriter) -> None:
    for start in range(0, stack.num_fields, _PAIRS):
        stop = min(stack.num_fields, start + _PAIRS)
        values = read_fields(stack, writer, start, stop=stop)
        writer.add_fields(values.pop("flow"), **values)
    for item in writer.items:
        if item.dimensions[0] not in ("plane", "pair", "frame", "rgb_byte"):
            writer.add_values(item.name, stack.read(item.name))


def read_fields(
    stack: Stack, writer: StackWriter, start: int, *, stop: int
) -> dict[str, NDArray[Any]]:
    """Return the values of consecutive fields by item, as arguments of `StackWriter.add_fields`."""
    return {
        name: stack.codec.decode(values) if ITEMS[name].packing == "codec" else values
        for name, values in read_stored(stack, writer, start, stop=stop).items()
    }


def read_stored(
    stack: Stack, writer: StackWriter, start: int, *, stop: int
) -> dict[str, NDArray[Any]]:
    """Return the values of consecutive fields by item, vectors as codes (n, 2, H, W)."""
    return {
        item.name: _unpack(stack, item.name, start=start, stop=stop)
        for item in writer.items
        if item.dimensions[0] in ("plane", "pair")
    }


def _unpack(stack: Stack, name: str, *, start: int, stop: int) -> NDArray[Any]:
    item = ITEMS[name]
    if item.packing == "codec":
        return stack.read(name, 2 * start, 2 * stop).reshape(-1, 2, *stack.size)
    stored = stack.read(name, start, stop)
    if item.packing == "bits":
        return np.unpackbits(stored, axis=-1, count=stack.size[1]).astype(np.bool_)
    return stored
