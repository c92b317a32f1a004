"""The contract of a codec: flow vectors to codes and back, by CF's linear packing.

`value = code * scale_factor + add_offset` (CF conventions, section 8.1), so that any HDF5 or netCDF
reader decodes a stack without flowstream.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import CodecError, ParameterError, ShapeError
from flowstream.types import Codes, Vectors

WIDEST = 65536.0
"""Pixels; no frame is wider, and float32 holds every 8-bit step up to it."""

MOVING = 1 / 64
"""Pixels; a longer vector counts as motion. The step of `fixed16`, finer than any method is."""


class Codec(ABC):
    """How vectors are quantised; subclasses are frozen dataclasses of its parameters."""

    name: ClassVar[str]
    """Its name in CODECS."""

    dtype: ClassVar[np.dtype[Any]]
    """What codes are stored as."""

    exact_stillness: ClassVar[bool] = True
    """Whether zero motion decodes to exactly zero."""

    bound: float
    """Largest displacement along an axis that a code holds, in pixels; beyond it, values clip."""

    @property
    def scale_factor(self) -> float:
        """Pixels per code."""
        return 1.0

    @property
    def add_offset(self) -> float:
        """Pixels at code 0."""
        return 0.0

    @abstractmethod
    def quantise(self, vectors: Vectors) -> Codes:
        """What `encode` returns, for vectors known to be finite float32."""

    @abstractmethod
    def saturated(self, codes: Codes) -> NDArray[np.bool_]:
        """Which codes stand at the bound, same shape."""

    def encode(self, vectors: Vectors) -> Codes:
        """The codes nearest to `vectors`, clipped at the bound.

        Parameters
        ----------
        vectors : (..., 2, H, W), float32
            Pixels; not written to.

        Returns
        -------
        (..., 2, H, W), the codec's dtype

        Raises
        ------
        ShapeError
            If `vectors` is not `(..., 2, H, W)`.
        CodecError
            If a vector is not finite.
        """
        _check_axes(vectors, f"codec {self.name!r}: vectors")
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            vectors = np.asarray(vectors, np.float32)
        finite = np.isfinite(vectors)
        if not finite.all():
            raise CodecError(
                f"codec {self.name!r}: {vectors.size - np.count_nonzero(finite)} of "
                f"{vectors.size} flow values are not finite; mask or fill them before storing"
            )
        return self.quantise(vectors)

    def decode(self, codes: Codes) -> Vectors:
        """The vectors that `codes` stand for, float32 pixels, same shape.

        Raises
        ------
        CodecError
            If `codes` are not in the codec's dtype.
        """
        if codes.dtype != self.dtype:
            raise CodecError(
                f"codec {self.name!r}: got codes of {codes.dtype}, expected {self.dtype}"
            )
        return self.dequantise(codes)

    def dequantise(self, codes: Codes) -> Vectors:
        """What `decode` returns, for codes of the codec's dtype."""
        # dtype: numpy 1 would pick float16 for 8-bit codes
        vectors: Vectors = np.multiply(codes, np.float32(self.scale_factor), dtype=np.float32)
        if self.add_offset:
            vectors += np.float32(self.add_offset)
        return vectors

    def at_bound(self, codes: Codes) -> int:
        """How many vectors of `(..., 2, H, W)` codes have a component at the bound."""
        _check_axes(codes, f"codec {self.name!r}: codes")
        at_bound = self.saturated(codes)
        return int(np.count_nonzero(at_bound[..., 0, :, :] | at_bound[..., 1, :, :]))

    def below_step(self, vectors: Vectors, codes: Codes) -> tuple[int, int]:
        """Count the vectors that move, and those of them that are stored as zero.

        Parameters
        ----------
        vectors : (..., 2, H, W), float32
            Pixels, before encoding.
        codes : (..., 2, H, W)
            `vectors` as encoded.

        Returns
        -------
        moving, lost : int
            Number of vectors longer than 1/64 pixel, and number of those whose components are
            both stored as the code of zero.
        """
        dx, dy = vectors[..., 0, :, :], vectors[..., 1, :, :]
        moving = dx * dx + dy * dy > np.float32(MOVING**2)
        zero = self.quantise(np.zeros(1, np.float32))[0]
        stored_as_zero = (codes[..., 0, :, :] == zero) & (codes[..., 1, :, :] == zero)
        lost = np.count_nonzero(moving & stored_as_zero)
        return int(np.count_nonzero(moving)), int(lost)


MUCH_BELOW_STEP = 0.2
"""Share of the motion below the codec's step from which people are warned."""


def below_step_warning(codec: Codec, share: float) -> str | None:
    """Return a line on motion that a codec rounds to zero, if that is much of it.

    Parameters
    ----------
    codec : Codec
    share : float
        Share of the vectors longer than 1/64 pixel that are stored as zero.
    """
    if share <= MUCH_BELOW_STEP:
        return None
    return (
        f"{share:.0%} of the motion is smaller than the codec's step of "
        f"{codec.scale_factor:.3g} px; use --codec fixed16 or a smaller --bound"
    )


def check_bound(codec: Codec, *, smallest: float = 1 / 64, largest: float = WIDEST) -> None:
    """Refuse a bound that is no number of pixels from `smallest` to `largest`."""
    bound = codec.bound
    known = isinstance(bound, int | float) and not isinstance(bound, bool) and math.isfinite(bound)
    if not known or not smallest <= bound <= largest:
        raise ParameterError(
            f"codec {codec.name!r}: got a bound of {bound!r}, "
            f"expected pixels from {smallest:g} to {largest:g}"
        )


def _check_axes(values: NDArray[Any], where: str) -> None:
    if values.ndim < 3 or values.shape[-3] != 2:
        raise ShapeError(f"{where} have shape {values.shape}, expected (..., 2, H, W)")
