"""Bootstrap intervals and calibration errors of streams, and their rows of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowstream.report.calibration import calibration_error
from flowstream.report.charts import percent
from flowstream.report.statistics import Interval, group_members
from flowstream.scores import Scores
from flowstream.view.markup import Markup, element


@dataclass(frozen=True)
class Certainty:
    """Intervals of the accuracies of one stream, and the calibration error of its scores."""

    top1: Interval
    uar: Interval
    """Mean class accuracy (UAR)."""
    groups: int
    """Number of groups that were resampled; of videos, if there are no groups."""
    calibration_error: float
    """Expected calibration error; see `calibration.calibration_error`."""


def measure_certainty(scores: Scores, *, resamples: int = 1000, seed: int = 0) -> Certainty:
    """Return 95 % bootstrap intervals over whole groups, and the calibration error.

    As `bootstrap`, but the accuracies of all resamples are computed from the counts of each group.
    """
    members = group_members(scores)
    shape = (len(members), len(scores.classes))
    right, total = np.zeros(shape), np.zeros(shape)
    hits = scores.scores.argmax(axis=1) == scores.labels
    for row, videos in enumerate(members):
        np.add.at(total[row], scores.labels[videos], 1)
        np.add.at(right[row], scores.labels[videos], hits[videos])
    random, found = np.random.default_rng(seed), []
    for _ in range(resamples):
        times = np.bincount(random.integers(shape[0], size=shape[0]), minlength=shape[0])
        found.append(_accuracies(times @ right, times @ total))
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    values = _accuracies(right.sum(axis=0), total.sum(axis=0))
    top, mean = (Interval(*map(float, row)) for row in zip(values, low, high, strict=True))
    return Certainty(top, mean, len(members), calibration_error(scores))


def _accuracies(right: NDArray[np.floating], total: NDArray[np.floating]) -> tuple[float, float]:
    """Return top-1 and UAR of the numbers (K,) of correct videos, and of all videos."""
    present = total > 0
    return float(right.sum() / total.sum()), float((right[present] / total[present]).mean())


def certainty_rows(columns: Sequence[Certainty]) -> list[Markup]:
    """Return table rows of bootstrap intervals and calibration errors, a column for each stream."""
    groups = columns[0].groups

    def row(title: str, cells: Sequence[str]) -> Markup:
        return element(
            "tr",
            element("th", title, scope="row"),
            [element("td", one, class_="n") for one in cells],
        )

    def ends(one: Interval) -> str:
        return f"{percent(one.low)} to {percent(one.high)}"

    return [
        row(f"Top-1, bootstrap of {groups} groups, %", [ends(one.top1) for one in columns]),
        row("Mean class accuracy, bootstrap, %", [ends(one.uar) for one in columns]),
        row("Calibration error, %", [percent(one.calibration_error) for one in columns]),
    ]
