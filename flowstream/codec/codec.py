"""Base class of codecs, with the linear packing of CF.

A codec maps vectors to codes and back: `vector = code * scale_factor + add_offset` (CF conventions,
section 8.1). Any HDF5 or netCDF reader can therefore decode a stack without flowstream.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import CodecError, ParameterError, ShapeError
from flowstream.types import Codes, Vectors

if TYPE_CHECKING:
    from torch import Tensor

WIDEST = 65536.0
"""Largest bound in pixels. No frame is wider, and float32 represents every 8-bit step up to it."""

MOVING = 1 / 64
"""Length in pixels above which a vector counts as motion.

It is the step of `fixed16`, which is finer than the accuracy of any method.
"""


class Codec(ABC):
    """Mapping between vectors and codes.

    A subclass is a frozen dataclass of its parameters.
    """

    name: ClassVar[str]
    """Name of the codec in `CODECS`."""

    dtype: ClassVar[np.dtype[Any]]
    """Data type of the codes."""

    exact_stillness: ClassVar[bool] = True
    """True if zero motion decodes to exactly zero."""

    bound: float
    """Largest displacement along an axis in pixels; larger displacements are clipped."""

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
        """Return the codes nearest to finite float32 vectors, clipped at the bound."""

    def quantise_tensor(self, vectors: Tensor) -> Tensor:
        """Return the codes of `quantise` for vectors on a device; by default, by the CPU."""
        import torch

        return torch.from_numpy(self.quantise(vectors.cpu().numpy())).to(vectors.device)

    @abstractmethod
    def find_clipped(self, codes: Codes) -> NDArray[np.bool_]:
        """Return a mask of the codes that are at the bound, of the shape of `codes`.

        The expression must be valid for arrays of NumPy and tensors of torch.
        """

    def encode(self, vectors: Vectors) -> Codes:
        """Return the codes nearest to `vectors`, clipped at the bound.

        Parameters
        ----------
        vectors : (..., 2, H, W), float32
            Pixels; not modified.

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
        with np.errstate(over="ignore"):  # overflow becomes infinite and is rejected below
            vectors = np.asarray(vectors, np.float32)
        finite = np.isfinite(vectors)
        if not finite.all():
            raise not_finite_error(self, vectors.size - np.count_nonzero(finite), vectors.size)
        return self.quantise(vectors)

    def decode(self, codes: Codes, out: Vectors | None = None) -> Vectors:
        """Return the vectors that `codes` represent: pixels, float32, of the same shape.

        Parameters
        ----------
        codes : array of the codec's dtype
        out : float32 array of the same shape, optional
            Array to write the vectors to.

        Raises
        ------
        CodecError
            If the dtype of `codes` is not that of the codec.
        """
        if codes.dtype != self.dtype:
            raise CodecError(
                f"codec {self.name!r}: wrong dtype of codes; "
                f"expected {self.dtype}, got {codes.dtype}"
            )
        return self.dequantise(codes, out)

    def dequantise(self, codes: Codes, out: Vectors | None = None) -> Vectors:
        """Return the vectors of codes that have the dtype of the codec."""
        # NumPy 1 would choose float16 for 8-bit codes without an explicit dtype
        scale = np.float32(self.scale_factor)
        vectors: Vectors = np.multiply(codes, scale, out=out, dtype=np.float32)
        if self.add_offset:
            vectors += np.float32(self.add_offset)
        return vectors

    def at_bound(self, codes: Codes) -> int:
        """Count the vectors of `(..., 2, H, W)` codes that have a component at the bound."""
        _check_axes(codes, f"codec {self.name!r}: codes")
        at_bound = self.find_clipped(codes)
        return int(np.count_nonzero(at_bound[..., 0, :, :] | at_bound[..., 1, :, :]))

    def below_step(self, vectors: Vectors, codes: Codes) -> tuple[int, int]:
        """Count the moving vectors, and the moving vectors that are stored as zero.

        Parameters
        ----------
        vectors : (..., 2, H, W), float32
            Pixels, before encoding.
        codes : (..., 2, H, W)
            Codes of `vectors`.

        Returns
        -------
        moving, lost : int
            Number of vectors longer than 1/64 pixel, and number of those whose components are
            both stored as the code of zero.
        """
        dx, dy = vectors[..., 0, :, :], vectors[..., 1, :, :]
        with np.errstate(over="ignore"):  # infinite is longer, too
            moving = dx * dx + dy * dy > np.float32(MOVING**2)
        zero = self.quantise(np.zeros(1, np.float32))[0]
        stored_as_zero = (codes[..., 0, :, :] == zero) & (codes[..., 1, :, :] == zero)
        lost = np.count_nonzero(moving & stored_as_zero)
        return int(np.count_nonzero(moving)), int(lost)


MUCH_BELOW_STEP = 0.2
"""Fraction of the moving vectors below the codec's step above which a warning is given."""


def below_step_warning(codec: Codec, share: float) -> str | None:
    """Return a warning if a codec rounds a large fraction of the motion to zero.

    Parameters
    ----------
    codec : Codec
    share : float
        Fraction of the vectors longer than 1/64 pixel that are stored as zero.

    Returns
    -------
    str or None
        None if the fraction is at most `MUCH_BELOW_STEP`.
    """
    if share <= MUCH_BELOW_STEP:
        return None
    return (
        f"{share:.0%} of the motion is smaller than the codec's step of "
        f"{codec.scale_factor:.3g} px; use --codec fixed16 or a smaller --bound"
    )


def not_finite_error(codec: Codec, count: int, size: int) -> CodecError:
    """Return the error for vectors that are not finite."""
    return CodecError(
        f"codec {codec.name!r}: {count} of {size} flow values are not finite; "
        "mask or fill them before storing"
    )


def check_bound(codec: Codec, *, smallest: float = 1 / 64, largest: float = WIDEST) -> None:
    """Raise `ParameterError` if a bound is not from `smallest` to `largest` pixels."""
    bound = codec.bound
    is_number = (
        isinstance(bound, int | float) and not isinstance(bound, bool) and math.isfinite(bound)
    )
    if not is_number or not smallest <= bound <= largest:
        raise ParameterError(
            f"codec {codec.name!r}: invalid bound; "
            f"expected pixels from {smallest:g} to {largest:g}, got {bound!r}"
        )


def _check_axes(values: NDArray[Any], where: str) -> None:
    if values.ndim < 3 or values.shape[-3] != 2:
        raise ShapeError(f"{where}: wrong shape; expected (..., 2, H, W), got {values.shape}")
