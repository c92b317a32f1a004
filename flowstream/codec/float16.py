"""`float16`: half precision, eleven significant bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.codec.codec import Codec
from flowstream.types import Codes, Vectors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Float16(Codec):
    """Vectors as IEEE 754 half precision: within 1/2048, clipped at 65504 pixels."""

    name: ClassVar[str] = "float16"
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float16)

    # no annotation: a constant, not a parameter
    bound = float(np.finfo(np.float16).max)

    def quantise(self, vectors: Vectors) -> Codes:
        """Codes of finite float32 vectors."""
        bound = np.float32(self.bound)
        return np.clip(vectors, -bound, bound).astype(np.float16)

    def quantise_tensor(self, vectors: Tensor) -> Tensor:
        """Return the codes of `quantise` for vectors on a device."""
        return vectors.clamp(-self.bound, self.bound).half()

    def find_clipped(self, codes: Codes) -> NDArray[np.bool_]:
        """Return a mask of the codes at the bound."""
        found: NDArray[np.bool_] = abs(codes) >= self.bound
        return found
