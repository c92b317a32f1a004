"""`centred8`: 8 bits, symmetric about code 128, which is exactly zero motion."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.codec.codec import MOVING, Codec, check_bound
from flowstream.types import Codes, Vectors

if TYPE_CHECKING:
    from torch import Tensor

_LARGE = 2**16
"""Number of values from which compiled loops are used: half a field of 320x240."""


def compiled_loops(values: NDArray[Any]) -> ModuleType | None:
    """Return the compiled loops for large arrays; None for small ones, or if there are none."""
    return _load_loops() if values.size >= _LARGE and values.ndim >= 3 else None


@cache
def _load_loops() -> ModuleType | None:
    try:
        return importlib.import_module("flowstream.codec.steps")
    except RuntimeError:  # no directory for compiled code is writable
        return None


@dataclass(frozen=True)
class Centred8(Codec):
    """Codes 1...255 for -bound...bound, in 254 equal steps; code 0 is never written.

    All vectors of a still background have the same code. With the 0...255 mapping of older tools
    they alternate between the two codes next to zero; on TV-L1 flow that takes a third more bytes.

    Parameters
    ----------
    bound : float
        Pixels. Two-stream networks have used 20 since TSN (Wang et al. 2016,
        arXiv:1608.00859); the step is then 0.157.
    """

    name: ClassVar[str] = "centred8"
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint8)

    bound: float = 20.0

    def __post_init__(self) -> None:
        check_bound(self)

    @property
    def scale_factor(self) -> float:
        """Pixels per code."""
        return self.bound / 127

    @property
    def add_offset(self) -> float:
        """Pixels at code 0."""
        return -128 * self.scale_factor

    def encode(self, vectors: Vectors) -> Codes:
        """Return the codes nearest to `vectors`; see `Codec.encode`."""
        loops = compiled_loops(vectors)
        if loops is not None and vectors.dtype == np.float32 and vectors.shape[-3] == 2:
            codes = np.empty(vectors.shape, np.uint8)
            scaling = np.float32(self.bound), np.float32(1 / self.scale_factor)
            if loops.encode_centred(np.ascontiguousarray(vectors).ravel(), codes.ravel(), scaling):
                return codes
        return super().encode(vectors)

    def quantise(self, vectors: Vectors) -> Codes:
        """Codes of finite float32 vectors."""
        # clipped before it is scaled: huge values would overflow
        steps = np.clip(vectors, np.float32(-self.bound), np.float32(self.bound))
        steps *= np.float32(1 / self.scale_factor)
        np.rint(steps, out=steps)
        # added after rounding: before it, the sum's own rounding would break the symmetry
        steps += 128
        return steps.astype(np.uint8)

    def quantise_tensor(self, vectors: Tensor) -> Tensor:
        """Return the codes of `quantise` for vectors on a device."""
        steps = vectors.clamp(-self.bound, self.bound)
        steps.mul_(float(np.float32(1 / self.scale_factor))).round_()
        return steps.add_(128).byte()

    def dequantise(self, codes: Codes, out: Vectors | None = None) -> Vectors:
        """Vectors of uint8 codes."""
        vectors: Vectors = np.empty(codes.shape, np.float32) if out is None else out
        loops = compiled_loops(codes)
        if loops is not None and codes.ndim == vectors.ndim == 3:
            loops.decode_centred(codes, np.float32(self.scale_factor), vectors)
            return vectors
        # Three passes over a chunk in the cache take half the time of one `np.multiply` of two
        # types, which converts by blocks. Before the last, all values are integers: exact.
        np.copyto(vectors, codes)
        vectors -= np.float32(128)
        vectors *= np.float32(self.scale_factor)
        return vectors

    def below_step(self, vectors: Vectors, codes: Codes) -> tuple[int, int]:
        """Count the moving vectors, and those of them that are stored as zero."""
        loops = compiled_loops(vectors)
        if loops is None or vectors.dtype != np.float32:
            return super().below_step(vectors, codes)
        shape = (-1, 2, math.prod(codes.shape[-2:]))
        found: tuple[int, int] = loops.count_centred(
            vectors.reshape(shape), codes.reshape(shape), np.float32(MOVING)
        )
        return found

    def find_clipped(self, codes: Codes) -> NDArray[np.bool_]:
        """Return a mask of the codes at the bound."""
        # 1 and 255 wrap to the two ends of uint8; 0, which nothing writes, is beyond the bound
        found: NDArray[np.bool_] = codes - 2 >= 253
        return found
