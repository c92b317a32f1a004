"""`consistency`: agreement of forward and backward flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError
from flowstream.store.item import Item, check_fractions
from flowstream.store.outputs.output import Output, Pairs

if TYPE_CHECKING:
    from flowstream.store.stack import Stack


class Consistency(Output):
    """Masks of the pixels where forward and backward flow agree, and their fraction."""

    name: ClassVar[str] = "consistency"
    needs_backward: ClassVar[bool] = True
    items: ClassVar[tuple[Item, ...]] = (
        Item(
            "consistent",
            "u1",
            ("pair", "y", "x8"),
            "1 where forward and backward flow agree; 8 pixels in a byte, the first is the highest "
            "bit",
            chunk=1,
            compressed=True,
            packing="bits",
            output=name,
            option="--consistency",
        ),
        Item(
            "consistency",
            "f4",
            ("pair",),
            "share of the pixels of each pair where forward and backward flow agree",
            output=name,
            option="--consistency",
            check=check_fractions,
        ),
    )

    @classmethod
    def compute(cls, pairs: Pairs) -> dict[str, NDArray[Any]]:
        """Return the masks (n, H, W) and their fractions (n,)."""
        from flowstream.flow import motion

        if pairs.backward is None:
            raise ParameterError("consistency: got no backward flow, expected it")
        masks = motion.consistency(pairs.forward, pairs.backward)
        shares = masks.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
        return {"consistent": masks, "consistency": shares}

    @classmethod
    def summarise(cls, stack: Stack) -> dict[str, float]:
        """Return the mean fraction of consistent pixels."""
        return {"consistency": float(stack.consistency.mean())}
