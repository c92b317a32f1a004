"""Conversion of header fields that are not stored as an attribute of the same value."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from flowstream.codec import CODECS, Codec
from flowstream.errors import FlowstreamError, ParameterError

Plain = str | int | float
"""Value of an attribute."""


_LONGEST_STRING = 60_000
"""Bytes; an HDF5 attribute in an object header holds 64 KiB."""


def check_length(name: str, text: str) -> None:
    """Raise `ParameterError` if a string does not fit in an attribute."""
    if len(text) > _LONGEST_STRING or len(text.encode()) > _LONGEST_STRING:
        raise ParameterError(
            f"{name}: got {len(text)} characters, expected at most {_LONGEST_STRING}"
        )


def _json_field(name: str) -> Callable[[Any], dict[str, Plain]]:
    return lambda value: {name: json.dumps(value, allow_nan=False)}


def _size_fields(rows: str, columns: str) -> Callable[[Any], dict[str, Plain]]:
    return lambda value: {rows: value[0], columns: value[1]}


WRITTEN: Mapping[str, Callable[[Any], dict[str, Plain]]] = {
    "size": _size_fields("height", "width"),
    "source_size": _size_fields("source_height", "source_width"),
    "codec": lambda codec: {"codec": codec.name, "bound": float(codec.bound)},
    **{name: _json_field(name) for name in ("method", "sampling", "stabiliser", "versions")},
}


class Table(dict[str, Any]):
    """Read-only table from JSON, shared by headers with equal tables."""


@lru_cache(maxsize=256)
def _parse_table(name: str, text: str) -> Table:
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ParameterError(f"attribute {name!r} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ParameterError(f"attribute {name!r} is {value!r}, expected a table")
    check_length(name, text)
    return Table(value)


def _read_json(name: str) -> Callable[[Mapping[str, Any]], Any]:
    def read(record: Mapping[str, Any]) -> Any:
        text = record.get(name)
        if text is not None and not isinstance(text, str):
            raise ParameterError(f"attribute {name!r} is not JSON: got {text!r}")
        return None if text is None else _parse_table(name, text)

    return read


def _read_size(rows: str, columns: str) -> Callable[[Mapping[str, Any]], Any]:
    def read(record: Mapping[str, Any]) -> Any:
        if rows not in record or columns not in record:
            raise ParameterError(f"attribute {rows!r} or {columns!r} is missing")
        return record[rows], record[columns]

    return read


def _read_codec(record: Mapping[str, Any]) -> Codec:
    for name in ("codec", "bound"):
        if name not in record:
            raise ParameterError(f"attribute {name!r} is missing")
    try:
        return _build_codec(record["codec"], record["bound"])
    except (FlowstreamError, TypeError) as error:
        raise ParameterError(str(error)) from error


@lru_cache(maxsize=64, typed=True)
def _build_codec(name: str, bound: Any) -> Codec:
    kind = CODECS[name]
    parameters = {item.name for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**({"bound": bound} if "bound" in parameters else {}))


READ: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "size": _read_size("height", "width"),
    "source_size": _read_size("source_height", "source_width"),
    "codec": _read_codec,
    **{name: _read_json(name) for name in ("method", "sampling", "stabiliser", "versions")},
}
