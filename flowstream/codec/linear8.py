"""`linear8`: the 8-bit 0...255 mapping of older tools, for data that must match theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.codec.codec import Codec, check_bound
from flowstream.types import Codes, Vectors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Linear8(Codec):
    """Codes 0...255 for -bound...bound, in 255 equal steps, as denseflow and TSN's tools map.

    No code is exactly zero: zero motion becomes code 128, which decodes to half a step (0.078
    pixels at bound 20), and noise around zero alternates between 127 and 128.

    Parameters
    ----------
    bound : float
        Pixels: 20 in TSN and mmaction2, 32 is denseflow's own default, 15 that of dense_flow.
    """

    name: ClassVar[str] = "linear8"
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint8)
    exact_stillness: ClassVar[bool] = False

    bound: float = 20.0

    def __post_init__(self) -> None:
        check_bound(self)

    @property
    def scale_factor(self) -> float:
        """Pixels per code."""
        return 2 * self.bound / 255

    @property
    def add_offset(self) -> float:
        """Pixels at code 0."""
        return -float(self.bound)

    def quantise(self, vectors: Vectors) -> Codes:
        """Codes of finite float32 vectors."""
        # in double precision and in the order of dense_flow's macro CAST, to give its codes to
        # the bit: cvRound(255 * (v - low) / (high - low)), ties to even
        steps = vectors.astype(np.float64)
        np.clip(steps, -self.bound, self.bound, out=steps)
        steps += self.bound
        steps *= 255
        steps /= 2 * self.bound
        return np.rint(steps, out=steps).astype(np.uint8)

    def quantise_tensor(self, vectors: Tensor) -> Tensor:
        """Return the codes of `quantise` for vectors on a device with double precision."""
        steps = vectors.double().clamp_(-self.bound, self.bound)
        steps.add_(self.bound).mul_(255).div_(2 * self.bound)
        return steps.round_().byte()

    def find_clipped(self, codes: Codes) -> NDArray[np.bool_]:
        """Return a mask of the codes at the bound."""
        # 255 wraps to 0, 0 to 1
        found: NDArray[np.bool_] = codes + 1 <= 1
        return found
