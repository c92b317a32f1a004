"""Fields of a header that are stored as something else than one attribute of the same value."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from flowstream.codec import CODECS, Codec
from flowstream.errors import FlowstreamError, ParameterError

Plain = str | int | float
"""Value of an attribute."""


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


def _read_json(name: str) -> Callable[[Mapping[str, Any]], Any]:
    def read(record: Mapping[str, Any]) -> Any:
        if name not in record:
            return None
        try:
            value = json.loads(record[name])
        except (ValueError, TypeError, RecursionError) as error:
            raise ParameterError(f"attribute {name!r} is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise ParameterError(f"attribute {name!r} is {value!r}, expected a table")
        return value

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
        kind = CODECS[record["codec"]]
        parameters = {item.name for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
        given = {"bound": record["bound"]} if "bound" in parameters else {}
        return kind(**given)
    except (FlowstreamError, TypeError) as error:
        raise ParameterError(str(error)) from error


READ: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "size": _read_size("height", "width"),
    "source_size": _read_size("source_height", "source_width"),
    "codec": _read_codec,
    **{name: _read_json(name) for name in ("method", "sampling", "stabiliser", "versions")},
}
