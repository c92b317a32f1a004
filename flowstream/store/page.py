"""Tables of the format page, generated from the declarations of the format."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from flowstream.store.header import FORMAT, FORMAT_VERSION, Header
from flowstream.store.item import Item
from flowstream.store.items import ITEMS
from flowstream.store.record import WRITTEN

_ATTRIBUTES = {
    "size": "height, width",
    "source_size": "source_height, source_width",
    "codec": "codec, bound",
}


def items_table() -> str:
    """Return the table of items in Markdown."""
    rows = [
        (
            f"`/{item.name}`",
            "that of the codec" if item.dtype == "codec" else f"`{item.dtype}`",
            f"`{' '.join(item.dimensions)}`",
            _layout(item),
            item.option and f"`{item.option}`",
            f"{item.long_name} ({item.units})" if item.units != "1" else item.long_name,
        )
        for item in ITEMS.values()
    ]
    return _table(("item", "type", "dimensions", "chunks", "stored with", "meaning"), rows)


def header_table() -> str:
    """Return the table of the attributes of the root group in Markdown."""
    rows = [
        ("`format`", "string", f'"{FORMAT}"'),
        ("`format_version`", "int64", str(FORMAT_VERSION)),
        *(
            (f"`{_ATTRIBUTES.get(field.name, field.name)}`", _kind(field), field.metadata["about"])
            for field in dataclasses.fields(Header)
        ),
        ("`header_digest`", "string", "digest of all attributes above but `Conventions`"),
    ]
    return _table(("attribute", "type", "meaning"), rows)


def _layout(item: Item) -> str:
    if not item.chunk:
        return "contiguous"
    shape = " ".join([str(item.chunk), *item.dimensions[1:]])
    return f"`{shape}`{', compressed' if item.compressed else ''}"


def _kind(field: dataclasses.Field[object]) -> str:
    if field.name == "codec":
        return "string, float64"
    if field.name in ("size", "source_size"):
        return "int64"
    if field.name in WRITTEN:
        kind = "JSON string"
    else:
        names = {"str": "string", "int": "int64", "float": "float64"}
        kind = names[str(field.type).partition(" ")[0]]
    return f"{kind}, optional" if field.default is None else kind


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
