"""`float32`: the vectors as the method computed them."""

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
class Float32(Codec):
    """Vectors in single precision, unchanged: the reference for other codecs."""

    name: ClassVar[str] = "float32"
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float32)

    # no annotation: a constant, not a parameter
    bound = float(np.finfo(np.float32).max)

    def quantise(self, vectors: Vectors) -> Codes:
        """Codes of finite float32 vectors."""
        codes: Codes = vectors.copy()
        return codes

    def quantise_tensor(self, vectors: Tensor) -> Tensor:
        """Return the codes of `quantise` for vectors on a device."""
        return vectors.clone()

    def find_clipped(self, codes: Codes) -> NDArray[np.bool_]:
        """Return a mask of the codes at the bound."""
        found: NDArray[np.bool_] = abs(codes) >= self.bound
        return found
