"""`fixed16`: 16-bit fixed point, 1/64 pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.codec.codec import Codec, check_bound
from flowstream.types import Codes, Vectors

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 64
"""Codes per pixel, as in the flow files of KITTI; finer than the accuracy of any method."""

LARGEST = 32767 / STEPS


@dataclass(frozen=True)
class Fixed16(Codec):
    """Codes -64*bound...64*bound; the step is 1/64 pixel, whatever the bound.

    Parameters
    ----------
    bound : float
        Pixels; by default all that 16 bits hold, 511.98.
    """

    name: ClassVar[str] = "fixed16"
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.int16)

    bound: float = LARGEST

    def __post_init__(self) -> None:
        check_bound(self, largest=LARGEST)

    @property
    def scale_factor(self) -> float:
        """Pixels per code."""
        return 1 / STEPS

    def quantise(self, vectors: Vectors) -> Codes:
        """Codes of finite float32 vectors."""
        steps = np.clip(vectors, np.float32(-self.bound), np.float32(self.bound))
        steps *= STEPS
        return np.rint(steps, out=steps).astype(np.int16)

    def quantise_tensor(self, vectors: Tensor) -> Tensor:
        """Return the codes of `quantise` for vectors on a device."""
        return vectors.clamp(-self.bound, self.bound).mul_(STEPS).round_().short()

    def find_clipped(self, codes: Codes) -> NDArray[np.bool_]:
        """Return a mask of the codes at the bound."""
        found: NDArray[np.bool_] = abs(codes) >= round(self.bound * STEPS)
        return found
