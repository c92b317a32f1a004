"""Fields encoded on a device: codes, and the counts of what the codec loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstream.codec.codec import MOVING, Codec, not_finite_error
from flowstream.types import Codes

if TYPE_CHECKING:
    from torch import Tensor

COUNTS = 4
"""Counts of a field: values that are not finite, and vectors at the bound, moving, and lost."""


@dataclass(frozen=True, eq=False)
class EncodedFields:
    """Codes of fields that were encoded elsewhere, which take the place of vectors.

    Parameters
    ----------
    codes : (n, 2, H, W), in the dtype of the codec
    at_bound, moving, lost : int
        Number of vectors at the bound; of vectors longer than 1/64 pixel; and of those among them
        that are stored as zero.
    chunks : sequence of bytes
        The chunk of each field as it is stored in another stack of the same settings, if known; it
        is then not compressed again.
    """

    codes: Codes
    at_bound: int
    moving: int
    lost: int
    chunks: Sequence[bytes] = ()

    @classmethod
    def of(cls, codec: Codec, codes: Codes, counts: Any) -> EncodedFields:
        """Return codes with the sums of their counts (n, COUNTS).

        Raises
        ------
        CodecError
            If a vector was not finite.
        """
        not_finite, at_bound, moving, lost = (int(count) for count in counts.sum(0))
        if not_finite:
            raise not_finite_error(codec, not_finite, codes.size)
        return cls(codes, at_bound, moving, lost)

    def __len__(self) -> int:
        return len(self.codes)


def encode_tensor(codec: Codec, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Encode fields (N, 2, H, W) on their device, to the codes and counts of the CPU.

    Returns
    -------
    codes : (N, 2, H, W)
    counts : (N, COUNTS), int64
    """
    import torch

    codes = codec.quantise_tensor(vectors)
    mask: Any = codec.find_clipped
    at_bound = mask(codes)
    dx, dy = vectors.unbind(1)
    moving = dx * dx + dy * dy > MOVING**2
    still = codec.quantise_tensor(vectors.new_zeros(1))
    lost = moving & (codes == still).all(1)
    found = ~torch.isfinite(vectors), at_bound.any(1), moving, lost
    return codes, torch.stack([part.flatten(1).sum(1) for part in found], 1)
