"""Accuracy of one stream and of each class, and agreement of streams."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ScoresError
from flowstream.report.statistics import mean_average_precision
from flowstream.scores import Scores

# 97.5 % quantile of the normal distribution, for two-sided 95 % intervals.
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """Accuracy (`correct` of `total`) with its 95 % interval."""

    correct: int
    total: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassResult:
    """Accuracy of one class."""

    name: str
    total: int
    correct: int
    accuracy: float | None
    """None if the part has no video of the class."""
    confused_with: str | None
    """Most frequent wrong prediction for its videos; None if all are correct."""


@dataclass(frozen=True)
class Confusion:
    """Videos of one class that were predicted as another."""

    true: str
    predicted: str
    videos: tuple[str, ...]


@dataclass(frozen=True)
class Measures:
    """Measures of one stream."""

    top1: Share
    top_k: Share
    k: int
    """5, or the number of classes if there are fewer than 5."""
    mean_class_accuracy: float
    """Mean over the classes that have videos, so that small classes count like large ones."""
    mean_f1: float
    """UF1: mean over the same classes of 2 TP / (2 TP + FP + FN)."""
    mean_average_precision: float
    """mAP: mean over the same classes of the area under the precision-recall curve."""
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    """(K, K): number of videos of the row's class that were predicted as the column's class."""


@dataclass(frozen=True)
class Agreement:
    """Number of videos that both, one or none of two streams classified correctly."""

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int


def measure(scores: Scores) -> Measures:
    """Measure top-1, top-5, mean class accuracy, classes and confusion of one stream.

    Raises
    ------
    ScoresError
        If there is no video, or a video has no label.
    """
    unknown = int((scores.labels < 0).sum())
    if unknown or not len(scores.labels):
        raise ScoresError(
            f"scores of {scores.stream!r}: videos without a label: {unknown} of "
            f"{len(scores.labels)}; expected at least one video, and a label for each"
        )
    classes = len(scores.classes)
    k = min(5, classes)
    matrix = confusion_matrix(scores.scores.argmax(axis=1), scores.labels, classes=classes)
    results = tuple(_class_result(matrix, index, scores.classes) for index in range(classes))
    accuracies = [result.accuracy for result in results if result.accuracy is not None]
    return Measures(
        top1=_share(top_k(scores.scores, scores.labels, 1)),
        top_k=_share(top_k(scores.scores, scores.labels, k)),
        k=k,
        mean_class_accuracy=math.fsum(accuracies) / len(accuracies),
        mean_f1=compute_mean_f1(matrix),
        mean_average_precision=mean_average_precision(scores.scores, scores.labels),
        classes=results,
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
    )


def top_k(scores: NDArray[np.floating], labels: NDArray[np.integer], k: int) -> NDArray[np.bool_]:
    """Return True where a label (N,) is among the k highest scores of its row (N, K).

    Among equal scores, the earlier class comes first, as in `argmax`.
    """
    if not 1 <= k <= scores.shape[1]:
        raise ParameterError(f"k: expected 1 to {scores.shape[1]} (number of classes), got {k}")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found: NDArray[np.bool_] = (best == labels[:, None]).any(axis=1)
    return found


def grouped_accuracy(scores: Scores, groups: Sequence[str]) -> float:
    """Return the accuracy for groups of classes, whose probabilities are added.

    Parameters
    ----------
    scores : Scores
        Scores with labels.
    groups : sequence of str
        Group of each class, such as a hue or a direction that several classes share.
    """
    names = sorted(set(groups))
    member = np.array([[group == name for name in names] for group in groups], np.float64)
    labels = member[scores.labels].argmax(axis=1)
    return float(((scores.scores @ member).argmax(axis=1) == labels).mean())


def confusion_matrix(
    predicted: NDArray[np.integer], labels: NDArray[np.integer], *, classes: int
) -> NDArray[np.int64]:
    """Count the videos of each true class (row) by predicted class (column)."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def compute_mean_f1(matrix: NDArray[np.integer]) -> float:
    """Return the unweighted F1 score (UF1) of a confusion matrix.

    UF1 is the mean over the classes that have videos, as in See et al. 2019 (MEGC,
    doi:10.1109/FG.2019.8756611).
    """
    right = np.diag(matrix)
    given, present = matrix.sum(axis=0), matrix.sum(axis=1)
    scores = 2 * right / np.maximum(given + present, 1)
    return float(scores[present > 0].mean())


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927, doi:10.2307/2276774).

    Unlike the normal interval, it stays within 0 to 1 and has a width above 0 at 0 and at 1.
    """
    if not 0 <= correct <= total or total < 1:
        raise ParameterError(
            f"interval: got {correct} correct of {total}; expected 0 to total of 1 or more"
        )
    share, square = correct / total, _Z95**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = (
        _Z95
        * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
        / (1 + square / total)
    )
    # At 0 and at total, the ends are exactly 0 and 1, but the formula is subject to rounding.
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    return low, 1.0 if correct == total else min(1.0, centre + half)


def confusions(scores: Scores) -> list[Confusion]:
    """List the pairs of confused classes with their videos, most frequent first."""
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    for video, label, given in zip(
        scores.videos, scores.labels, scores.scores.argmax(axis=1), strict=True
    ):
        if label != given:
            found[int(label), int(given)].append(str(video))
    ordered = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        Confusion(scores.classes[true], scores.classes[given], tuple(sorted(videos)))
        for (true, given), videos in ordered
    ]


def agreement(first: Scores, second: Scores) -> Agreement:
    """Count the videos that both, one or none of two streams classified correctly.

    Videos are matched by name. `both + only_first + only_second` is the upper limit of any fusion
    that chooses one stream for each video.
    """
    one, two = _right(first), _right(second)
    if one.keys() != two.keys():
        raise ScoresError(f"streams {first.stream!r} and {second.stream!r} have different videos")
    pairs = [(right, two[video]) for video, right in one.items()]
    return Agreement(
        first=first.stream,
        second=second.stream,
        both=pairs.count((True, True)),
        only_first=pairs.count((True, False)),
        only_second=pairs.count((False, True)),
        neither=pairs.count((False, False)),
    )


def agreements(streams: Mapping[str, Scores]) -> list[Agreement]:
    """Return the `agreement` of every pair of streams, with the given names."""
    parts = [replace(scores, stream=name) for name, scores in streams.items()]
    return [
        agreement(first, second)
        for index, first in enumerate(parts)
        for second in parts[index + 1 :]
    ]


def _right(scores: Scores) -> dict[str, bool]:
    right = (scores.scores.argmax(axis=1) == scores.labels).tolist()
    return dict(zip((str(video) for video in scores.videos), right, strict=True))


def _share(right: NDArray[np.bool_]) -> Share:
    correct, total = int(right.sum()), len(right)
    return Share(correct, total, correct / total, *wilson(correct, total))


def _class_result(matrix: NDArray[np.int64], index: int, classes: tuple[str, ...]) -> ClassResult:
    row = matrix[index]
    total, correct = int(row.sum()), int(row[index])
    wrong = row.copy()
    wrong[index] = 0
    return ClassResult(
        name=classes[index],
        total=total,
        correct=correct,
        accuracy=correct / total if total else None,
        confused_with=classes[int(wrong.argmax())] if wrong.any() else None,
    )
