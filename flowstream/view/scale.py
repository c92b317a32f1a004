"""Value of full colour, which is the same for all pictures of a clip."""

from __future__ import annotations

import numpy as np

from flowstream.view.clip import Clip, sample_fields
from flowstream.view.moment import Style

PERCENTILE = 99.0
"""Share of the values, in percent, that full colour covers. A scale by the fastest vector makes
fields pale, because single vectors are often several times faster than all others."""

FIELDS = 32
"""Number of fields that are looked at, spread over the clip."""

_VALUES = 20_000
"""Number of values of each field, spread over its area."""


def find_scale(clip: Clip, style: Style, chosen: range) -> float:
    """Return the 99th percentile of the measure of a style over the chosen fields.

    It is at least the floor of the style, so that noise is not amplified in a clip without motion.
    """
    values = []
    for k in sample_fields(clip, chosen, most=FIELDS):
        measured = style.measure(clip.moment(k, style, scale=1.0)).ravel()
        values.append(measured[:: max(1, measured.size // _VALUES)])
    percentile = float(np.percentile(np.concatenate(values), PERCENTILE))
    # rounding must not make the values of a uniform field exceed the scale
    return max(style.floor, percentile * (1 + 1e-5))


def share_beyond(clip: Clip, style: Style, k: int, *, scale: float) -> float:
    """Return the fraction of a field's values that are above the scale."""
    return float((style.measure(clip.moment(k, style, scale=scale)) > scale * 1.0001).mean())
