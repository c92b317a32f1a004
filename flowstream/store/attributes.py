"""The attributes of a stack file, format 1, and how they are written and read.

Texts, int64 and float64 only, so that every HDF5 reader can show them. `scale_factor` and
`add_offset` are CF's names (CF conventions, section 8.1): value = code * scale_factor + add_offset.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import flowstream
from flowstream.codec import Codec
from flowstream.errors import ParameterError, StackError
from flowstream.plugins import provenance
from flowstream.types import Size

FORMAT = "flowstream.stack"
FORMAT_VERSION = 1

ROOT: Mapping[str, type] = {
    "format": str,
    "format_version": int,
    "flowstream": str,
    "source": str,
    "source_bytes": int,
    "fps": float,
    "source_height": int,
    "source_width": int,
    "method": str,
    "sampling": str,
    "compression": str,
    "checksum": str,
}
"""Attributes of the file."""

FLOW: Mapping[str, type] = {
    "codec": str,
    "bound": float,
    "scale_factor": float,
    "add_offset": float,
    "clipped": float,
}
"""Attributes of `/flow`, and of `/flow_backward` where there is one."""

_STORED = {str: str, int: np.int64, float: np.float64}
_SEEN = {str: str, int: np.integer, float: np.floating}
_WORDS = {str: "a text", int: "a whole number", float: "a number"}


def compose_attributes(
    *,
    method: Any,
    sampling: Any,
    codec: Codec,
    source: str,
    source_bytes: int,
    fps: float,
    source_size: Size,
    compression: str,
    stabiliser: Any = None,
) -> dict[str, Any]:
    """The attributes that are known before the flow is; the parameters are `create_stack`'s.

    `stabiliser` is among them only where there is one, and so later `clipped_backward`, which is
    `clipped` of `/flow_backward`: what a stack lacks leaves no trace in its checksum.

    Raises
    ------
    ParameterError
        If a value cannot be recorded.
    """
    numbers = {
        "source_bytes": int(source_bytes),
        "fps": float(fps),
        "source_height": int(source_size[0]),
        "source_width": int(source_size[1]),
    }
    for name, value in numbers.items():
        if not (math.isfinite(value) and value >= 0):
            raise ParameterError(f"{source}: got {name} {value}, expected 0 or more")
    stabilised = {} if stabiliser is None else {"stabiliser": _json(stabiliser, "stabiliser")}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "flowstream": flowstream.__version__,
        # a file name that is no UTF-8 keeps its odd bytes as \udcXX, which HDF5 texts cannot hold
        "source": source.encode("utf-8", "backslashreplace").decode("utf-8"),
        **numbers,
        "method": _json(method, "method"),
        "sampling": _json(sampling, "sampling"),
        "compression": compression,
        **stabilised,
        "codec": codec.name,
        "bound": float(codec.bound),
        "scale_factor": float(codec.scale_factor),
        "add_offset": float(codec.add_offset),
    }


def write_attributes(file: h5py.File, attributes: Mapping[str, Any]) -> None:
    """Write the attributes that `ROOT` and `FLOW` name, and the optional ones."""
    for item, names in ((file, ROOT), (file["flow"], FLOW)):
        for name, kind in names.items():
            item.attrs[name] = _STORED[kind](attributes[name])
    if "stabiliser" in attributes:
        file.attrs["stabiliser"] = attributes["stabiliser"]
    if "flow_backward" in file:
        for name, kind in FLOW.items():
            file["flow_backward"].attrs[name] = _STORED[kind](attributes[name])


def read_attributes(file: h5py.File, path: Path) -> dict[str, Any]:
    """The attributes that `ROOT` and `FLOW` name, and the optional ones, as plain values.

    Raises
    ------
    StackError
        If the file is of another format or a newer version, or an attribute is missing or of
        another type.
    """
    said = file.attrs
    if str(said.get("format")) != FORMAT:
        raise StackError(f"{path}: an HDF5 file, but not a stack of flowstream")
    version = _attribute(said, "format_version", kind=int, where=str(path))
    if int(version) > FORMAT_VERSION:
        raise StackError(
            f"{path}: stack format {version}, this version reads up to {FORMAT_VERSION}; "
            "update it with: pip install -U flowstream"
        )
    values = {}
    of_flow = find_dataset(file, "flow", path).attrs
    for attributes, kinds, where in ((said, ROOT, str(path)), (of_flow, FLOW, f"{path}: /flow")):
        for name, kind in kinds.items():
            values[name] = _attribute(attributes, name, kind=kind, where=where)
    if "stabiliser" in said:
        values["stabiliser"] = _attribute(said, "stabiliser", kind=str, where=str(path))
    if "flow_backward" in file:
        values["clipped_backward"] = _clipped_backward(file, values, path)
    return values


def _clipped_backward(file: h5py.File, values: Mapping[str, Any], path: Path) -> str | int | float:
    """Its fraction at the bound, where it is coded as `/flow` is."""
    attributes, where = find_dataset(file, "flow_backward", path).attrs, f"{path}: /flow_backward"
    found = {
        name: _attribute(attributes, name, kind=kind, where=where) for name, kind in FLOW.items()
    }
    for name in FLOW.keys() - {"clipped"}:
        if found[name] != values[name]:
            raise StackError(
                f"{where}: {name} is {found[name]!r}, expected {values[name]!r} as of /flow"
            )
    return found["clipped"]


def find_dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """The data set of that name.

    Raises
    ------
    StackError
        If there is none.
    """
    item = file.get(name)
    if not isinstance(item, h5py.Dataset):
        raise StackError(f"{path}: /{name} is missing; not a whole stack")
    return item


def _attribute(
    attributes: h5py.AttributeManager, name: str, *, kind: type, where: str
) -> str | int | float:
    if name not in attributes:
        raise StackError(f"{where}: attribute {name!r} is missing; not a whole stack")
    value = attributes[name]
    if not isinstance(value, _SEEN[kind]):
        raise StackError(f"{where}: attribute {name!r} is {value!r}, expected {_WORDS[kind]}")
    plain: str | int | float = kind(value)
    return plain


def _json(value: Any, name: str) -> str:
    record = dict(value) if isinstance(value, Mapping) else provenance(value)
    try:
        return json.dumps(record, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} {record!r} cannot be recorded: {error}") from error
