"""The contract of a codec: flow vectors to codes and back, by CF's linear packing.

`value = code * scale_factor + add_offset` (CF conventions, section 8.1), so that any HDF5 or netCDF
reader decodes a stack without flowstream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from flowstream.errors import CodecError
from flowstream.types import Codes, Vectors


class Codec(ABC):
    """How vectors are quantised; subclasses are frozen dataclasses of its parameters."""

    name: ClassVar[str]
    """Its name in CODECS."""

    dtype: ClassVar[np.dtype[Any]]
    """What codes are stored as."""

    bound: float
    """Largest displacement along an axis that a code holds, in pixels; beyond it, values clip."""

    @property
    @abstractmethod
    def scale_factor(self) -> float:
        """Pixels per code."""

    @property
    @abstractmethod
    def add_offset(self) -> float:
        """Pixels at code 0."""

    @abstractmethod
    def quantise(self, vectors: Vectors) -> Codes:
        """What `encode` returns, for vectors known to be finite."""

    @abstractmethod
    def at_bound(self, codes: Codes) -> int:
        """How many vectors of `(..., 2, H, W)` codes have a component at the bound."""

    def encode(self, vectors: Vectors) -> Codes:
        """The codes nearest to `vectors` `(..., 2, H, W)`, pixels, clipped at the bound.

        Raises
        ------
        CodecError
            If a vector is not finite.
        """
        if not np.isfinite(vectors).all():
            bad = int((~np.isfinite(vectors)).sum())
            raise CodecError(
                f"codec {self.name!r}: {bad} of {vectors.size} flow values are not finite; "
                "mask or fill them before storing"
            )
        return self.quantise(vectors)

    def decode(self, codes: Codes) -> Vectors:
        """The vectors that `codes` stand for, float32 pixels, same shape."""
        vectors = codes.astype(np.float32)
        vectors *= np.float32(self.scale_factor)
        vectors += np.float32(self.add_offset)
        return vectors
