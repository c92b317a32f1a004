"""Selection of a linear classifier by cross-validation over blocks of groups, or over groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flowstream.train.folds import DIVISIONS
from flowstream.train.logistic import (
    Linear,
    compute_log_loss,
    fit_logistic,
    fit_temperature,
    rotate_features,
)

if TYPE_CHECKING:
    from flowstream.train.linear import LinearTrainer

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

FEW_VIDEOS = 500
"""Largest number of videos for which the cross-validation is repeated with other folds."""

REPEATS = 6


@dataclass(frozen=True)
class Tried:
    """A cost, and its results in the cross-validation after calibration."""

    cost: float
    loss: float
    top1: float
    temperature: float


@dataclass(frozen=True, eq=False)
class Chosen:
    """Result of the choice: the classifier fitted to all videos, and the results of all costs."""

    classifier: Linear
    held_out: tuple[Array, ...]
    """(N, K) calibrated scores, before the softmax, of each division into folds.

    They are not averaged over the divisions, because this would give the scores of an ensemble,
    which is better than the single classifier in the checkpoint. A single division depends on the
    seed.
    """
    best: Tried
    table: tuple[Tried, ...]


def choose_classifier(
    features: Array,
    labels: Labels,
    groups: Sequence[str],
    *,
    classes: int,
    options: LinearTrainer,
    seed: int,
) -> Chosen:
    """Choose the cost by cross-validation and fit the classifier to all videos.

    The scale of the features is computed from all videos; it does not depend on the labels.

    Parameters
    ----------
    features : (N, D)
    labels : (N,)
    groups : N names
    classes : int
        K.
    options : LinearTrainer
        Costs, folds and scale.
    seed : int
        Seed of the folds.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    if options.scale == "together":
        deviation = np.full_like(deviation, np.sqrt(np.square(deviation).mean()))
    factor = 1 / (np.maximum(deviation, 1e-6) * math.sqrt(features.shape[1]))
    rotated, basis = rotate_features((features - mean) * factor)
    divisions = [
        DIVISIONS[options.division](labels.tolist(), groups, options.folds, seed=seed + repeat)
        for repeat in range(REPEATS if len(labels) <= FEW_VIDEOS else 1)
    ]
    table, calibrated, every = [], {}, np.tile(labels, len(divisions))
    for cost in options.costs:
        held = [
            cross_validate(rotated, labels, folds, classes=classes, cost=cost)
            for folds in divisions
        ]
        pooled = np.concatenate(held)
        temperature = fit_temperature(pooled, every)
        calibrated[cost] = tuple(scores * temperature for scores in held)
        loss = compute_log_loss(pooled * temperature, every)
        top1 = float((pooled.argmax(axis=1) == every).mean())
        table.append(Tried(cost, loss, top1, temperature))
    best = min(table, key=lambda tried: tried.loss)
    fitted = fit_logistic(rotated, labels, classes, cost=best.cost)
    weight = best.temperature * (fitted.weight @ basis) * factor
    bias = best.temperature * fitted.bias - weight @ mean
    return Chosen(Linear(weight, bias), calibrated[best.cost], best, tuple(table))


def cross_validate(
    features: Array,
    labels: Labels,
    folds: NDArray[np.int64],
    *,
    classes: int,
    cost: float,
) -> Array:
    """Return the scores (N, K) of each video by a classifier that did not see its fold."""
    scores = np.zeros((len(labels), classes))
    for fold in np.unique(folds):
        inside = folds == fold
        if inside.all():  # one group: nothing is known of its videos
            continue
        fitted = fit_logistic(features[~inside], labels[~inside], classes, cost=cost)
        held = fitted(features[inside])
        # a class that only this fold has cannot be learned: it gets the mean score
        missing = np.setdiff1d(np.arange(classes), labels[~inside])
        if len(missing) < classes:
            held[:, missing] = np.delete(held, missing, axis=1).mean(axis=1, keepdims=True)
        scores[inside] = held
    return scores
