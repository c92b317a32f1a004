"""Late fusion: the scores of several streams into one, aligned by the names of the videos.

`FUSIONS[name](**parameters).fit(parts)` takes one `Scores` a stream, of videos that may be learnt
from, and gives a `Mixture`; the mixture takes the same streams' scores of any part. Whatever is
chosen is chosen in `fit`, so that no test score can reach it.
"""

from __future__ import annotations

from flowstream.fusion.align import align
from flowstream.fusion.mixture import Fusion, Mixture
from flowstream.plugins import Plugins

FUSIONS: Plugins[type[Fusion]] = Plugins(
    "fusion",
    {
        "average": "flowstream.fusion.average:Average",
        "weighted": "flowstream.fusion.weighted:Weighted",
        "product": "flowstream.fusion.product:Product",
    },
)
"""Fusions by name."""

__all__ = ["FUSIONS", "Fusion", "Mixture", "align"]
