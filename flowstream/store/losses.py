"""Count what the codec loses while a stack is written."""

from __future__ import annotations

import dataclasses
import math

from flowstream.store.header import Header
from flowstream.types import Codes, Vectors


class Losses:
    """Number of vectors at the codec's bound, and of moving ones that are stored as zero.

    Parameters
    ----------
    header : Header
        As known before the flow. A `below_step` in it is of a copied stack, which had lost that
        share before.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._at_bound: dict[str, int] = {}
        self._moving = self._lost = 0

    def count(self, name: str, vectors: Vectors, stored: Codes) -> None:
        """Count fields `(n, 2, H, W)` of item `name`, and the planes that store them."""
        codec, codes = self._header.codec, stored.reshape(-1, 2, *self._header.size)
        self._at_bound[name] = self._at_bound.get(name, 0) + codec.at_bound(codes)
        if name == "flow":
            moving, lost = codec.below_step(vectors, codes)
            self._moving += moving
            self._lost += lost

    def final_header(self, num_fields: int) -> Header:
        """Return the header with the shares of all vectors of a stack."""
        vectors = num_fields * math.prod(self._header.size)
        before, lost = self._header.below_step, self._lost / max(1, self._moving)
        backward = self._at_bound.get("flow_backward")
        return dataclasses.replace(
            self._header,
            clipped=self._at_bound["flow"] / vectors,
            below_step=before + (1 - before) * lost,
            clipped_backward=None if backward is None else backward / vectors,
        )
