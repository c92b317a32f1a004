"""What the differences between scores mean: bootstrap intervals, McNemar's test, precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ScoresError
from flowstream.scores import Scores


@dataclass(frozen=True)
class Interval:
    """Value with its bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap(
    scores: Scores,
    measure: Callable[[NDArray[np.floating], NDArray[np.integer]], float],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the bootstrap percentile interval of a measure over the videos.

    Where the scores have groups (films, subjects), whole groups are resampled, because videos of
    one group are not independent (Efron & Tibshirani 1993, chapter 8; Davison & Hinkley 1997,
    section 3.8).

    Parameters
    ----------
    scores : Scores
    measure : function of scores (N, K) and labels (N,)
    resamples : int
    confidence : float
    seed : int
    """
    if resamples < 1 or not 0 < confidence < 1:
        raise ParameterError(
            f"bootstrap: got {resamples} resamples at {confidence}, expected at least 1 at a "
            "confidence between 0 and 1"
        )
    if not len(scores.labels):
        raise ScoresError(f"scores of {scores.stream!r}: no videos, expected at least one")
    members = _group_members(scores)
    random = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        chosen = random.integers(len(members), size=len(members))
        rows = np.concatenate([members[group] for group in chosen])
        values.append(measure(scores.scores[rows], scores.labels[rows]))
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(measure(scores.scores, scores.labels), float(low), float(high))


def top1(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the share of videos whose highest score is that of their class."""
    return float((scores.argmax(axis=1) == labels).mean())


def uar(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the unweighted average recall: the mean accuracy of the classes that have videos."""
    right = scores.argmax(axis=1) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Return the area under the precision-recall curve of one class.

    Videos with equal scores are counted together, so that their order does not matter.

    Parameters
    ----------
    scores : (N,)
    positive : (N,) bool
    """
    if not positive.any():
        raise ScoresError("average precision: got no positive video, expected at least one")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision = hits[ends] / (ends + 1)
    recall = hits[ends] / positive.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def mean_average_precision(
    scores: NDArray[np.floating], labels: NDArray[np.integer] | NDArray[np.bool_]
) -> float:
    """Return the mean of the average precisions of the classes that have videos.

    Parameters
    ----------
    scores : (N, K)
    labels : (N,) class indices, or (N, K) bool for videos with any number of classes
    """
    positive = labels if labels.ndim == 2 else labels[:, None] == np.arange(scores.shape[1])
    known = [k for k in range(scores.shape[1]) if positive[:, k].any()]
    if not known:
        raise ScoresError("mean average precision: got no labelled video, expected at least one")
    precisions = [average_precision(scores[:, k], positive[:, k].astype(np.bool_)) for k in known]
    return float(np.mean(precisions))


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the two-sided p value of McNemar's exact test.

    It is the probability of a split at least as uneven between the videos that only one of two
    classifiers gets right, if both were equally good (McNemar 1947, doi:10.1007/BF02295996).

    Parameters
    ----------
    first, second : (N,) bool
        Whether each classifier is right on each video.
    """
    if first.shape != second.shape:
        raise ScoresError(f"McNemar: got {len(first)} and {len(second)} videos, expected the same")
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    count, fewer = only_first + only_second, min(only_first, only_second)
    if not count:
        return 1.0
    tail: float = sum(math.comb(count, k) for k in range(fewer + 1)) / 2**count
    return min(1.0, 2 * tail)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sample standard deviation; 0 for a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, 0.0
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _group_members(scores: Scores) -> list[NDArray[np.intp]]:
    """Return the rows of each group; each video is its own group where there are none."""
    if not scores.groups:
        return [np.array([row]) for row in range(len(scores.videos))]
    members: dict[str, list[int]] = {}
    for row, group in enumerate(scores.groups):
        members.setdefault(group, []).append(row)
    return [np.array(rows) for rows in members.values()]
