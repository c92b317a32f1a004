"""Intervals, tests and calibration: against analysis, scikit-learn and SciPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowstream.errors import ScoresError
from flowstream.report.calibration import (
    apply_temperature,
    calibration_error,
    fit_temperature,
    reliability,
)
from flowstream.report.certainty import measure_certainty
from flowstream.report.measures import measure
from flowstream.report.statistics import (
    bootstrap,
    mcnemar,
    mean_average_precision,
    spread,
    top1,
    uar,
)
from flowstream.report.write import write_report
from flowstream.scores import Scores


def make(
    count: int = 60, classes: int = 4, *, seed: int = 0, part: str = "validation", **changes: Any
) -> Scores:
    random = np.random.default_rng(seed)
    rows = random.dirichlet([0.5] * classes, size=count)
    return Scores(
        scores=rows.astype(np.float32),
        labels=random.integers(classes, size=count),
        videos=tuple(f"v{i}" for i in range(count)),
        classes=tuple("abcdefgh"[:classes]),
        stream="rgb",
        part=part,
        **changes,
    )


def test_measures_of_classes_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, f1_score, recall_score

    scores = make()
    predicted = scores.scores.argmax(1)
    assert measure(scores).mean_class_accuracy == pytest.approx(
        recall_score(scores.labels, predicted, average="macro")
    )
    assert uar(scores.scores, scores.labels) == pytest.approx(measure(scores).mean_class_accuracy)
    assert measure(scores).mean_f1 == pytest.approx(
        f1_score(scores.labels, predicted, average="macro")
    )
    one_hot = np.eye(len(scores.classes))[scores.labels]
    assert measure(scores).mean_average_precision == pytest.approx(
        average_precision_score(one_hot, scores.scores, average="macro")
    )


def test_mean_average_precision_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    scores = make()
    truth = np.eye(4, dtype=bool)[scores.labels]
    expected = np.mean(
        [average_precision_score(truth[:, k], scores.scores[:, k]) for k in range(4)]
    )
    assert mean_average_precision(scores.scores, scores.labels) == pytest.approx(expected)
    several = truth | (np.random.default_rng(1).random(truth.shape) < 0.3)
    expected = np.mean(
        [average_precision_score(several[:, k], scores.scores[:, k]) for k in range(4)]
    )
    assert mean_average_precision(scores.scores, several) == pytest.approx(expected)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    from scipy.stats import binomtest

    first = np.array([True] * 12 + [False] * 3 + [True] * 20 + [False] * 5)
    second = np.array([False] * 12 + [True] * 3 + [True] * 20 + [False] * 5)
    assert mcnemar(first, second) == pytest.approx(binomtest(3, 15).pvalue)
    assert mcnemar(first, first) == 1.0


def test_the_bootstrap_interval_covers_and_narrows_with_more_videos() -> None:
    few, many = make(40), make(1000)
    short, long = bootstrap(many, top1), bootstrap(few, top1)
    assert short.low <= short.value <= short.high
    assert short.high - short.low < 0.5 * (long.high - long.low)
    # the normal interval of a share of 1000 trials, within the noise of 1000 resamples
    assert short.high - short.low == pytest.approx(
        2 * 1.96 * np.sqrt(short.value * (1 - short.value) / 1000), rel=0.15
    )


def test_videos_of_one_group_count_as_one() -> None:
    base = make(10)
    rows = np.repeat(np.arange(10), 8)
    repeated = Scores(
        scores=base.scores[rows],
        labels=base.labels[rows],
        videos=tuple(f"v{i}" for i in range(80)),
        classes=base.classes,
        stream="rgb",
        part="validation",
        groups=tuple(f"g{row}" for row in rows),
    )
    grouped, single = bootstrap(repeated, top1), bootstrap(base, top1)
    assert (grouped.low, grouped.high) == (single.low, single.high)


def test_the_temperature_of_overconfident_scores_is_found() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (4000, 5))
    truth = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([random.choice(5, p=row) for row in truth])
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(1, keepdims=True)
    scores = Scores(
        scores=sharp.astype(np.float32),
        labels=labels,
        videos=tuple(map(str, range(4000))),
        classes=tuple("abcde"),
        stream="rgb",
        part="validation",
    )
    temperature = fit_temperature(scores)
    # 5 %: the standard error of 4000 videos
    assert temperature == pytest.approx(3, rel=0.05)
    calm = apply_temperature(scores, temperature)
    assert (calm.scores.argmax(1) == scores.scores.argmax(1)).all()
    assert calibration_error(scores) > 0.15
    assert calibration_error(calm) < 0.03
    assert sum(part.count for part in reliability(calm)) == 4000


def test_a_temperature_is_never_fitted_to_test_scores() -> None:
    with pytest.raises(ScoresError, match="got test scores"):
        fit_temperature(make(part="test"))


def test_the_spread_of_runs_is_the_sample_standard_deviation() -> None:
    assert spread([0.5]) == (0.5, 0.0)
    mean, deviation = spread([0.7, 0.8, 0.9])
    assert mean == pytest.approx(0.8)
    assert deviation == pytest.approx(0.1)


def test_the_certainty_of_a_report_is_that_of_the_slow_bootstrap_over_groups(
    tmp_path: Path,
) -> None:
    scores = make(groups=tuple(f"g{index // 7}" for index in range(60)))
    found = measure_certainty(scores, resamples=50)
    assert found.groups == 9
    for own, measured in ((found.top1, top1), (found.uar, uar)):
        slow = bootstrap(scores, measured, resamples=50)
        assert (own.value, own.low, own.high) == pytest.approx((slow.value, slow.low, slow.high))
    assert found.calibration_error == calibration_error(scores)
    page = write_report(tmp_path, {"rgb": scores}, None, facts={}).read_text(encoding="utf-8")
    assert "Top-1, bootstrap of 9 groups, %" in page
    assert "Calibration error, %" in page
