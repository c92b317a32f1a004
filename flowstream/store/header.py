"""Header of a stack: its source, its settings and the losses of its codec.

In the file, each field is an attribute of the root group: a fixed-length string, an int64 or a
float64. `Header.record` returns them as plain data, and `Header.from_record` reads this data.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import flowstream
from flowstream.codec import Codec
from flowstream.errors import ParameterError
from flowstream.plugins import provenance
from flowstream.store.record import READ, WRITTEN, Plain, Table, check_length
from flowstream.store.spec import FlowSpec
from flowstream.types import Size

FORMAT = "flowstream.stack"
FORMAT_VERSION = 2

MOST_PIXELS = 2**25
"""Largest number of pixels of a field, 8192x4096; larger sizes are rejected as invalid."""


def _versions() -> dict[str, str]:
    return {"flowstream": flowstream.__version__}


def _about(text: str) -> dict[str, str]:
    """Return the description of a field, which the format page shows."""
    return {"about": text}


@dataclass(frozen=True)
class Header:
    """Origin of a stack, and the losses of its codec.

    Each field is described where it is defined. Mappings are stored as JSON; a frozen dataclass is
    recorded as its `flowstream.plugins.provenance`.

    Raises
    ------
    ParameterError
        If a value cannot be recorded.
    """

    size: Size = field(metadata=_about("rows and columns of the fields and frames"))
    method: Mapping[str, Any] = field(metadata=_about("name and parameters of the flow method"))
    sampling: Mapping[str, Any] = field(metadata=_about("selection of the frames, and their size"))
    codec: Codec = field(metadata=_about("name of the codec, and its bound in pixels"))
    source: str = field(metadata=_about("name of the video, below its source directory"))
    source_size: Size = field(metadata=_about("rows and columns of the video as shown"))
    source_bytes: int = field(metadata=_about("number of bytes of the video"), default=0)
    source_modified: int = field(
        metadata=_about(
            "time of the last change of the video, nanoseconds since 1970; 0 if unknown"
        ),
        default=0,
    )
    fps: float = field(
        metadata=_about("frames per second, measured from the time stamps"), default=0.0
    )
    container_fps: float = field(
        metadata=_about("frames per second that the container states"), default=0.0
    )
    sample_aspect: str = field(
        metadata=_about("shape of the video's pixels, width:height"), default="1:1"
    )
    stream: int = field(metadata=_about("index of the video stream in its container"), default=0)
    compression: str = field(metadata=_about("name of the compression"), default="lz4hc")
    jpeg_quality: int = field(
        metadata=_about("quality of the stored images; 0 if there are none or it is unknown"),
        default=0,
    )
    stabiliser: Mapping[str, Any] | None = field(
        metadata=_about(
            "name and parameters of the stabiliser that removed the motion of the camera"
        ),
        default=None,
    )
    depth_range: str | None = field(
        metadata=_about(
            "LO:HI, range of pixel values mapped to 8 bits, for videos of more than 8 bits"
        ),
        default=None,
    )
    versions: Mapping[str, str] = field(
        metadata=_about("versions of flowstream and the libraries used"), default_factory=_versions
    )
    clipped: float = field(
        metadata=_about("share of the vectors at the codec's bound"), default=0.0
    )
    below_step: float = field(
        metadata=_about("share of the vectors longer than 1/64 pixel that are stored as zero"),
        default=0.0,
    )
    clipped_backward: float | None = field(
        metadata=_about("share of the backward vectors at the codec's bound"), default=None
    )

    def __post_init__(self) -> None:
        for name in ("size", "source_size"):
            object.__setattr__(self, name, _size(name, getattr(self, name)))
        for name in ("method", "sampling", "stabiliser", "versions"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _table(name, getattr(self, name)))
        for name, kind in _PLAIN.items():
            value = getattr(self, name)
            if kind is str and isinstance(value, str):
                # A file name that is not UTF-8 has surrogates, which strings in HDF5 cannot have.
                value = value.encode("utf-8", "backslashreplace").decode("utf-8")
                object.__setattr__(self, name, value)
        self._check()

    @property
    def spec(self) -> FlowSpec:
        """Flow spec of a model that is trained on this flow."""
        return FlowSpec(
            method=self.method,
            sampling=self.sampling,
            size=self.size,
            codec=provenance(self.codec),
            stabiliser=self.stabiliser,
        )

    def has_flow_of(self, other: Header) -> bool:
        """Return whether the specs are equal, without building them."""
        return all(getattr(self, name) == getattr(other, name) for name in _SPEC_FIELDS)

    @property
    def digest(self) -> str:
        """Digest of all fields, 32 hexadecimal digits."""
        return digest_record(self.record())

    def record(self) -> dict[str, Plain]:
        """Return the attributes of the root group of the file, without those that are None."""
        values: dict[str, Plain] = {"format": FORMAT, "format_version": FORMAT_VERSION}
        for declared in dataclasses.fields(self):
            value = getattr(self, declared.name)
            if value is None:
                continue
            if declared.name in WRITTEN:
                values |= WRITTEN[declared.name](value)
            else:
                values[declared.name] = value
        return values

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Header:
        """Make a header from `record`.

        Raises
        ------
        ParameterError
            If a value is missing, of another type or out of range.
        """
        values: dict[str, Any] = {}
        for name, is_optional in _fields():
            value = READ[name](record) if name in READ else record.get(name)
            if value is not None:
                values[name] = value
            elif not is_optional:
                raise ParameterError(f"attribute {name!r} is missing")
        try:
            return cls(**values)
        except TypeError as error:
            raise ParameterError(f"not a header: {error}") from error

    def _check(self) -> None:
        rows, columns = self.size
        if min(rows, columns) < 1 or rows * columns > MOST_PIXELS:
            raise ParameterError(
                f"size: got {rows} rows and {columns} columns, expected at least 1 of each and at "
                f"most {MOST_PIXELS} pixels"
            )
        for name, kind in _PLAIN.items():
            value = getattr(self, name)
            if value is None and name in ("clipped_backward", "depth_range"):
                continue
            accepted = type(value) is kind or isinstance(value, _ACCEPTED[kind])
            if not accepted or isinstance(value, bool):
                raise ParameterError(f"{name}: got {value!r}, expected {_WORDS[kind]}")
            if kind is str:
                check_length(name, value)
            else:
                if not (0 <= value < 2**63 and math.isfinite(value)):
                    raise ParameterError(f"{name}: got {value}, expected 0 or more")
                object.__setattr__(self, name, kind(value))
        for name in ("clipped", "below_step", "clipped_backward"):
            value = getattr(self, name)
            if value is not None and value > 1:
                raise ParameterError(f"{name}: got {value}, expected a share from 0 to 1")


def digest_record(record: Mapping[str, Plain]) -> str:
    """Return the digest of the attributes of a header, 32 hexadecimal digits."""
    text = json.dumps(record, sort_keys=True)
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).hexdigest()


_SPEC_FIELDS = ("method", "sampling", "size", "codec", "stabiliser")

_PLAIN: Mapping[str, type[Any]] = {
    "source": str,
    "source_bytes": int,
    "source_modified": int,
    "fps": float,
    "container_fps": float,
    "sample_aspect": str,
    "stream": int,
    "compression": str,
    "jpeg_quality": int,
    "depth_range": str,
    "clipped": float,
    "below_step": float,
    "clipped_backward": float,
}
_ACCEPTED: Mapping[type[Any], type[Any]] = {str: str, int: numbers.Integral, float: numbers.Real}
_WORDS = {str: "a string", int: "an integer", float: "a number"}


@cache
def _fields() -> tuple[tuple[str, bool], ...]:
    """Return the name of each field of a header, and whether it may be missing."""
    return tuple((one.name, one.default is None) for one in dataclasses.fields(Header))


def _size(name: str, value: Any) -> Size:
    try:
        rows, columns = (int(side) for side in value)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name}: got {value!r}, expected (rows, columns)") from error
    if not (0 <= rows < 2**31 and 0 <= columns < 2**31):
        raise ParameterError(f"{name}: got {value!r}, expected 0 or more")
    return rows, columns


def _table(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Table):
        return value
    try:
        record = dict(value) if isinstance(value, Mapping) else provenance(value)
        # Converted through JSON, so that a header that was read equals the one that was written.
        text = json.dumps(record, allow_nan=False)
        plain: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} {value!r} cannot be recorded: {error}") from error
    check_length(name, text)
    return plain
