"""Measures against plain loops, and against what the arithmetic must give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.errors import ParameterError, ScoresError
from flowstream.report.measures import (
    agreement,
    agreements,
    confusion_matrix,
    confusions,
    grouped_accuracy,
    measure,
    top_k,
    wilson,
)
from flowstream.scores import Scores

NAMES = ("run", "jump", "sit")


def answers(given_classes: Any, labels: Any, *, stream: str = "rgb") -> Scores:
    """Scores that are sure of the given classes."""
    return Scores(
        scores=np.eye(len(NAMES), dtype=np.float32)[np.asarray(given_classes)],
        labels=np.asarray(labels, np.int64),
        videos=tuple(f"v{index}" for index in range(len(labels))),
        classes=NAMES,
        stream=stream,
        part="test",
    )


def random_scores(seed: int, *, videos: int = 20, classes: int = 7) -> Scores:
    generator = np.random.default_rng(seed)
    return Scores(
        scores=generator.dirichlet([0.5] * classes, size=videos).astype(np.float32),
        labels=generator.integers(0, classes, videos),
        videos=tuple(f"v{index}" for index in range(videos)),
        classes=tuple(f"c{index}" for index in range(classes)),
        stream="rgb",
        part="test",
    )


seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, k=st.integers(1, 7))
def test_top_k_counts_the_labels_that_fewer_than_k_classes_beat(seed: int, k: int) -> None:
    scores = random_scores(seed)
    found = top_k(scores.scores, scores.labels, k)
    for row, label, right in zip(scores.scores, scores.labels, found, strict=True):
        better = sum(row[other] > row[label] for other in range(7))
        assert right == (better < k)


def test_the_earlier_class_is_first_among_equal_scores() -> None:
    even = np.full((3, 3), 1 / 3, np.float32)
    assert top_k(even, np.arange(3), 1).tolist() == [True, False, False]
    assert top_k(even, np.arange(3), 2).tolist() == [True, True, False]


@pytest.mark.parametrize("k", [0, 4])
def test_top_k_of_no_class_or_of_more_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(ParameterError, match=f"k: expected 1 to 3.*got {k}"):
        top_k(np.eye(3), np.arange(3), k)


@given(seed=seeds)
def test_the_confusion_matrix_counts_every_pair(seed: int) -> None:
    generator = np.random.default_rng(seed)
    predicted, labels = generator.integers(0, 4, size=(2, 30))
    expected = [
        [sum(1 for p, t in zip(predicted, labels, strict=True) if (t, p) == (row, column))
         for column in range(4)]
        for row in range(4)
    ]  # fmt: skip
    assert confusion_matrix(predicted, labels, classes=4).tolist() == expected


@given(seed=seeds)
def test_measures_agree_with_one_another(seed: int) -> None:
    found = measure(random_scores(seed))
    matrix = np.array(found.confusion)
    assert found.top1.correct == np.trace(matrix) == sum(row.correct for row in found.classes)
    assert found.top1.total == matrix.sum() == sum(row.total for row in found.classes)
    assert found.top1.value <= found.top_k.value
    assert found.top1.low <= found.top1.value <= found.top1.high


def test_mean_class_accuracy_counts_small_classes_like_large_ones_and_empty_ones_not() -> None:
    found = measure(answers([0, 0, 0, 0, 0], [0, 0, 0, 0, 1]))
    assert found.top1.value == 0.8
    assert found.mean_class_accuracy == 0.5
    assert [row.accuracy for row in found.classes] == [1.0, 0.0, None]


def test_a_class_names_its_most_frequent_wrong_prediction() -> None:
    found = measure(answers([0, 1, 2, 2, 2, 1, 0, 0], [0, 0, 0, 0, 1, 1, 2, 2]))
    assert [row.confused_with for row in found.classes] == ["sit", "sit", "run"]
    assert measure(answers([0, 1], [0, 1])).classes[0].confused_with is None


def test_top_five_of_three_classes_is_top_three() -> None:
    found = measure(answers([0, 0], [1, 2]))
    assert (found.k, found.top_k.value, found.top1.value) == (3, 1.0, 0.0)


def test_scores_without_videos_or_labels_are_refused() -> None:
    with pytest.raises(ScoresError, match="videos without a label: 1 of 2"):
        measure(answers([0, 0], [0, -1]))
    with pytest.raises(ScoresError, match="at least one video"):
        measure(replace(answers([0], [0]), scores=np.empty((0, 3), np.float32),
                        labels=np.empty(0, np.int64), videos=()))  # fmt: skip


@given(total=st.integers(1, 500), share=st.floats(0, 1))
def test_the_interval_is_wilsons_as_scipy_computes_it(total: int, share: float) -> None:
    from scipy.stats import binomtest

    correct = round(share * total)
    expected = binomtest(correct, total).proportion_ci(confidence_level=0.95, method="wilson")
    # 1e-12: both are a dozen float64 operations on values up to 1
    assert wilson(correct, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_has_a_width_where_all_or_none_are_right() -> None:
    # Wilson at 0 of n ends at z² / (n + z²), by setting the share to 0.
    square = 1.959963984540054**2
    assert wilson(0, 10) == pytest.approx((0, square / (10 + square)), rel=1e-12)
    assert wilson(10, 10) == pytest.approx((10 / (10 + square), 1), rel=1e-12)


@given(total=st.integers(1, 200), correct=st.integers(0, 200))
def test_the_interval_of_the_wrong_mirrors_that_of_the_right(total: int, correct: int) -> None:
    correct = min(correct, total)
    low, high = wilson(correct, total)
    assert wilson(total - correct, total) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("correct", "total"), [(-1, 3), (4, 3), (0, 0)])
def test_an_impossible_share_is_refused(correct: int, total: int) -> None:
    with pytest.raises(ParameterError, match=f"got {correct} correct of {total}"):
        wilson(correct, total)


def test_confusions_come_most_frequent_first_with_their_videos() -> None:
    found = confusions(answers([1, 2, 2, 0, 0], [0, 1, 1, 0, 2]))
    assert [(pair.true, pair.predicted, pair.videos) for pair in found] == [
        ("jump", "sit", ("v1", "v2")),
        ("run", "jump", ("v0",)),
        ("sit", "run", ("v4",)),
    ]
    assert confusions(answers([0, 1], [0, 1])) == []


def test_agreement_matches_the_videos_by_name() -> None:
    labels = [0, 0, 1, 1, 2]
    rgb = answers([0, 0, 1, 2, 0], labels)
    flow = answers([0, 1, 1, 1, 0], labels, stream="flow")
    order = [4, 2, 0, 1, 3]
    flow = replace(
        flow,
        scores=flow.scores[order],
        labels=flow.labels[order],
        videos=tuple(flow.videos[index] for index in order),
    )
    found = agreement(rgb, flow)
    assert (found.both, found.only_first, found.only_second, found.neither) == (2, 1, 1, 1)


def test_agreement_is_computed_for_every_pair_of_streams() -> None:
    one, two = answers([0], [0]), answers([1], [0])
    pairs = agreements({"spatial": one, "temporal": two, "audio": two})
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("spatial", "temporal"),
        ("spatial", "audio"),
        ("temporal", "audio"),
    ]
    assert (pairs[0].only_first, pairs[2].neither) == (1, 1)


def test_agreement_refuses_other_videos() -> None:
    with pytest.raises(ScoresError, match="have different videos"):
        agreement(answers([0], [0]), answers([0, 1], [0, 1], stream="flow"))


def test_a_group_is_right_where_its_classes_together_are_most_probable() -> None:
    scores = Scores(
        scores=np.array([[0.3, 0.3, 0.4], [0.1, 0.2, 0.7]], np.float32),
        labels=np.array([0, 1]),
        videos=("a", "b"),
        classes=("red_left", "red_right", "blue_left"),
        stream="rgb",
        part="test",
    )
    # first: red 0.6 against blue 0.4, though blue_left is the most probable class; second: blue
    assert grouped_accuracy(scores, ("red", "red", "blue")) == 0.5
    # first: left 0.7, right; second: left 0.8, but it is right_
    assert grouped_accuracy(scores, ("left", "right", "left")) == 0.5
