"""Statistics of scores: bootstrap, McNemar's test, recall, precision."""

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

    If the scores have groups (films, subjects), whole groups are resampled, because videos of one
    group are not independent (Efron & Tibshirani 1993, chapter 8; Davison & Hinkley 1997,
    section 3.8).

    Parameters
    ----------
    scores : Scores
        Scores with labels.
    measure : function of scores (N, K) and labels (N,)
        Function that returns the value to estimate.
    resamples : int
        Number of bootstrap samples.
    confidence : float
        Probability that the interval covers, between 0 and 1.
    seed : int
        Seed of the random generator.
    """
    if resamples < 1 or not 0 < confidence < 1:
        raise ParameterError(
            "bootstrap: expected at least 1 resample and a confidence between 0 and 1, got "
            f"{resamples} and {confidence}"
        )
    if not len(scores.labels):
        raise ScoresError(f"scores of {scores.stream!r}: no videos; expected at least one")
    members = group_members(scores)
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
    """Return the fraction of videos whose highest score is that of their class."""
    return float((scores.argmax(axis=1) == labels).mean())


def uar(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the unweighted average recall (UAR) over the classes that have videos."""
    right = scores.argmax(axis=1) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Return the area under the precision-recall curve of one class.

    Videos with equal scores are counted together, so that their order does not matter.

    Parameters
    ----------
    scores : (N,)
        Score of the class for each video.
    positive : (N,) bool
        True for the videos of the class.
    """
    if not positive.any():
        raise ScoresError("average precision: expected at least one positive video, got none")
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
        Score of each class for each video.
    labels : (N,) int or (N, K) bool
        Class index of each video, or a mask of classes if a video can have several.
    """
    positive = labels if labels.ndim == 2 else labels[:, None] == np.arange(scores.shape[1])
    known = [k for k in range(scores.shape[1]) if positive[:, k].any()]
    if not known:
        raise ScoresError("mean average precision: expected at least one labelled video, got none")
    precisions = [average_precision(scores[:, k], positive[:, k].astype(np.bool_)) for k in known]
    return float(np.mean(precisions))


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the two-sided p value of McNemar's exact test.

    The test considers the videos that exactly one of two classifiers classifies correctly. The p
    value is the probability that these videos are divided at least as unevenly between two equally
    accurate classifiers (McNemar 1947, doi:10.1007/BF02295996).

    Parameters
    ----------
    first, second : (N,) bool
        True for each video that the classifier classifies correctly.
    """
    if first.shape != second.shape:
        raise ScoresError(f"McNemar: expected the same videos, got {len(first)} and {len(second)}")
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


def group_members(scores: Scores) -> list[NDArray[np.intp]]:
    """Return the rows of each group; without groups, each video is a group of its own."""
    if not scores.groups:
        return [np.array([row]) for row in range(len(scores.videos))]
    members: dict[str, list[int]] = {}
    for row, group in enumerate(scores.groups):
        members.setdefault(group, []).append(row)
    return [np.array(rows) for rows in members.values()]
