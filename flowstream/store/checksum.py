"""A digest over all that a stack says: its flow, frames, times, images and attributes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowstream.types import Codes


class Checksum:
    """BLAKE2b-128 of a stack, fed in any chunks and in any order of its parts.

    The parts are hashed apart: codes, frame indices and times as little-endian bytes in the file's
    types, JPEG images each after its length as an 8-byte integer. The checksum is the hash of
    their 16-byte digests in that order; of the name and digest of each optional data set that there
    is, by name, its values as little-endian bytes; and of the attributes, all but `checksum`, as
    JSON text with sorted keys.
    """

    def __init__(self) -> None:
        self._codes = _hash()
        self._frames = _hash()
        self._times = _hash()
        self._images = _hash()
        self._optional: dict[str, hashlib.blake2b] = {}

    def add_codes(self, codes: Codes) -> None:
        """Take in the next planes of `/flow`."""
        self._codes.update(_bytes(codes))

    def add_frame(self, index: int, seconds: float) -> None:
        """Take in the next entry of `/frame` and of `/time`."""
        self._frames.update(np.array(index, "<i4").tobytes())
        self._times.update(np.array(seconds, "<f8").tobytes())

    def add_image(self, jpeg: bytes) -> None:
        """Take in the next entry of `/rgb`."""
        self._images.update(len(jpeg).to_bytes(8, "little"))
        self._images.update(jpeg)

    def add_optional(self, name: str, values: NDArray[Any]) -> None:
        """Take in the next values of an optional data set other than `/rgb`."""
        self._optional.setdefault(name, _hash()).update(_bytes(values))

    def hexdigest(self, attributes: Mapping[str, Any]) -> str:
        """The checksum, 32 hexadecimal digits."""
        whole = _hash()
        for part in (self._codes, self._frames, self._times, self._images):
            whole.update(part.digest())
        for name, part in sorted(self._optional.items()):
            whole.update(name.encode("ascii") + part.digest())
        said = {name: value for name, value in attributes.items() if name != "checksum"}
        whole.update(json.dumps(said, sort_keys=True).encode("ascii"))
        return whole.hexdigest()


def _bytes(values: NDArray[Any]) -> memoryview:
    little = values.dtype.newbyteorder("<")
    return np.ascontiguousarray(values, little).data.cast("B")


def _hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)
