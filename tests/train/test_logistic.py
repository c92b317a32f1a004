"""Logistic regression: optimality, more features than videos, calibration."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.train.logistic import (
    compute_log_loss,
    fit_logistic,
    fit_temperature,
    rotate_features,
)


def make_videos(count: int = 40, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return random.normal(size=(count, size)) + np.eye(3, size)[labels], labels


@pytest.mark.parametrize("cost", [0.1, 10.0])
def test_the_solution_is_that_of_another_solver(cost: float) -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels = make_videos()
    found = fit_logistic(features, labels, 3, cost=cost)
    other = LogisticRegression(C=cost, tol=1e-10, max_iter=5000).fit(features, labels)
    # a constant on all scores of a class's weights is fixed by the penalty, that of the bias is not
    assert np.allclose(found.weight, other.coef_, atol=1e-4)
    assert np.allclose(found.bias - found.bias.mean(), other.intercept_, atol=1e-4)


def test_rotated_features_give_the_same_scores_with_fewer_numbers() -> None:
    features, labels = make_videos(12, 50)
    rotated, basis = rotate_features(features)
    assert rotated.shape == (12, 12)
    assert np.allclose(rotated @ basis, features, atol=1e-8)
    full = fit_logistic(features, labels, 3, cost=1.0)
    fast = fit_logistic(rotated, labels, 3, cost=1.0)
    assert np.allclose(fast.weight @ basis, full.weight, atol=1e-4)


def test_the_temperature_of_overconfident_scores_is_found() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=(4000, 3))
    odds = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(3, p=row) for row in odds])
    # 10 %: the log-loss of 4,000 labels is flat around its minimum
    assert fit_temperature(5 * scores, labels) == pytest.approx(1 / 5, rel=0.1)
    assert compute_log_loss(scores, labels) < compute_log_loss(5 * scores, labels)


def test_the_log_loss_of_equal_scores_is_that_of_guessing() -> None:
    assert compute_log_loss(np.zeros((2, 4)), np.array([0, 3])) == pytest.approx(np.log(4))
