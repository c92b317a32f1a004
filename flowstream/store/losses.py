"""Count the losses of the codec while a stack is written."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flowstream.codec.encoding import EncodedFields
from flowstream.store.header import Header
from flowstream.types import Codes, Vectors


@dataclass(frozen=True)
class LossCounts:
    """Counts of vectors of a whole stack, or of a segment that will be joined with others.

    Parameters
    ----------
    moving, lost : int
        Number of vectors longer than 1/64 pixel, and number of these that are stored as zero.
    at_bound : mapping
        Number of vectors at the codec's bound, by item.
    """

    moving: int = 0
    lost: int = 0
    at_bound: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def total(cls, counts: Iterable[LossCounts]) -> LossCounts:
        """Return the sums of several counts."""
        every = list(counts)
        at_bound: Counter[str] = Counter()
        for one in every:
            at_bound.update(one.at_bound)
        return cls(
            moving=sum(one.moving for one in every),
            lost=sum(one.lost for one in every),
            at_bound=dict(at_bound),
        )


class Losses:
    """Number of vectors at the codec's bound, and of moving ones that are stored as zero.

    Parameters
    ----------
    header : Header
        Header before the flow is written. If it has a `below_step`, it comes from a copied stack.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._at_bound: dict[str, int] = {}
        self._moving = self._lost = 0

    @property
    def counts(self) -> LossCounts:
        """Counts of all vectors so far."""
        return LossCounts(self._moving, self._lost, dict(self._at_bound))

    @counts.setter
    def counts(self, counts: LossCounts) -> None:
        self._moving, self._lost = counts.moving, counts.lost
        self._at_bound = dict(counts.at_bound)

    def count(self, name: str, vectors: Vectors, stored: Codes) -> None:
        """Count fields `(n, 2, H, W)` of item `name`, and the planes that store them."""
        codec, codes = self._header.codec, stored.reshape(-1, 2, *self._header.size)
        self._at_bound[name] = self._at_bound.get(name, 0) + codec.at_bound(codes)
        if name == "flow":
            moving, lost = codec.below_step(vectors, codes)
            self._moving += moving
            self._lost += lost

    def add(self, name: str, encoded: EncodedFields) -> None:
        """Add the counts of fields that were encoded elsewhere."""
        self._at_bound[name] = self._at_bound.get(name, 0) + encoded.at_bound
        if name == "flow":
            self._moving += encoded.moving
            self._lost += encoded.lost

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
