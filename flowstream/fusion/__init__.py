"""Late fusion: the scores of several streams into one, aligned by the names of the videos.

`FUSIONS[name](**parameters).fit(parts)` takes one `Scores` for each stream, of videos that may be
learnt from, and returns a fitted fusion, which takes the same streams' scores of any part. All
choices are made in `fit`, so that no test score can influence them.
"""

from __future__ import annotations

from flowstream.fusion.align import align
from flowstream.fusion.fusion import FittedFusion, Fusion
from flowstream.fusion.mixture import Mixture
from flowstream.plugins import Plugins

FUSIONS: Plugins[type[Fusion]] = Plugins(
    "fusion",
    {
        "average": "flowstream.fusion.average:Average",
        "weighted": "flowstream.fusion.weighted:Weighted",
        "log_linear": "flowstream.fusion.log_linear:LogLinear",
        "logit_sum": "flowstream.fusion.logit_sum:LogitSum",
        "product": "flowstream.fusion.product:Product",
        "rank": "flowstream.fusion.rank:Rank",
        "svm": "flowstream.fusion.svm:SVM",
    },
)
"""Fusions by name."""

__all__ = ["FUSIONS", "FittedFusion", "Fusion", "Mixture", "align"]
