"""Late fusion: combination of the scores of several streams, aligned by the names of the videos.

`FUSIONS[name](**parameters).fit(parts)` takes one `Scores` per stream, of videos that may be used
for fitting, and returns a fitted fusion. The fitted fusion combines scores of the same streams for
any part. All choices are made in `fit`, so test scores cannot influence them.
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
