"""Calibration: expected calibration error and temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flowstream.errors import ParameterError, ScoresError
from flowstream.scores import Scores

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Bin:
    """Videos whose highest probability is in one range."""

    count: int
    """Number of videos."""
    confidence: float
    """Mean of their highest probabilities."""
    accuracy: float
    """Fraction of the videos that are classified correctly."""


def reliability(scores: Scores, *, bins: int = 10) -> list[Bin]:
    """Measure the accuracy in equal ranges of the highest probability."""
    if bins < 1:
        raise ParameterError(f"bins: expected at least 1, got {bins}")
    confidence = scores.scores.max(axis=1).astype(np.float64)
    right = scores.scores.argmax(axis=1) == scores.labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for number in range(bins)
        if (inside := index == number).any()
    ]


def calibration_error(scores: Scores, *, bins: int = 10) -> float:
    """Return the expected calibration error (ECE).

    The ECE is the mean absolute difference between accuracy and confidence over equal ranges of
    confidence, weighted by the number of videos in each range (Guo et al. 2017, arXiv:1706.04599,
    equation 3).
    """
    total = len(scores.labels)
    if not total:
        raise ScoresError(f"scores of {scores.stream!r}: no videos; expected at least one")
    parts = reliability(scores, bins=bins)
    return sum(part.count * abs(part.accuracy - part.confidence) for part in parts) / total


def fit_temperature(scores: Scores) -> float:
    """Fit the temperature that minimises the log loss of scores.

    Fit the temperature to validation scores and apply it to other scores with `apply_temperature`
    (Guo et al. 2017, section 4.2). The loss is convex in 1 / temperature; the search range of
    1 / temperature is 1/50 to 50.
    """
    if scores.part == "test":
        raise ScoresError("temperature: expected validation or training scores, got test scores")
    logits = _logits(scores)
    rows = np.arange(len(scores.labels))

    def loss(log_inverse: float) -> float:
        scaled = logits * np.exp(log_inverse)
        top = scaled.max(axis=1)
        totals = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((totals - scaled[rows, scores.labels]).mean())

    low, high = -np.log(50), np.log(50)
    golden = (np.sqrt(5) - 1) / 2
    # golden-section search; 60 steps shrink the interval to 1e-12 of its length
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return float(np.exp(-(low + high) / 2))


def apply_temperature(scores: Scores, temperature: float) -> Scores:
    """Return the scores with their logits divided by the temperature."""
    if not temperature > 0:
        raise ParameterError(f"temperature: expected a number above 0, got {temperature}")
    logits = _logits(scores) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return replace(scores, scores=scaled)


def _logits(scores: Scores) -> NDArray[np.float64]:
    logits: NDArray[np.float64] = np.log(np.maximum(scores.scores.astype(np.float64), _SMALLEST))
    return logits
