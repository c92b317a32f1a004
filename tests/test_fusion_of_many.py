"""Weights for many streams are searched in a grid that stays small."""

from __future__ import annotations

import numpy as np
import pytest

from flowstream.fusion.weighted import LARGEST_GRID, Weighted, _simplex
from flowstream.scores import Scores

VIDEOS, CLASSES = 40, 4


def stream(number: int, *, strength: float) -> Scores:
    """A stream that gives each video's own class so much more, and noise."""
    random = np.random.default_rng(number)
    labels = np.arange(VIDEOS) % CLASSES
    logits = random.normal(0, 1, (VIDEOS, CLASSES))
    logits[np.arange(VIDEOS), labels] += strength
    odds = np.exp(logits)
    return Scores(
        stream=f"s{number:02}",
        part="validation",
        videos=tuple(f"v{index:02}" for index in range(VIDEOS)),
        classes=tuple("abcd"),
        labels=labels,
        scores=(odds / odds.sum(axis=1, keepdims=True)).astype(np.float32),
        checkpoint="",
    )


@pytest.mark.parametrize("streams", [2, 5, 6, 9, 19])
def test_the_grid_stays_small_and_sums_to_one(streams: int) -> None:
    steps = Weighted()._steps(streams)
    assert steps == 20 if streams <= 5 else 1 < steps < 20
    grid = list(_simplex(streams, steps))
    assert len(grid) <= LARGEST_GRID
    np.testing.assert_allclose(np.sum(grid, axis=1), 1)


def test_nineteen_equal_streams_get_equal_weights() -> None:
    parts = [stream(number, strength=4) for number in range(19)]
    mixture = Weighted().fit(parts)
    # all of them right about nearly all: nothing argues for leaving equality, which no grid of a
    # few steps holds
    np.testing.assert_allclose(mixture.weights, 1 / 19)


def test_an_informative_stream_gets_the_weight_among_eight_others() -> None:
    parts = [stream(number, strength=6 if number == 3 else -2) for number in range(9)]
    weights = Weighted().fit(parts).weights
    assert int(np.argmax(weights)) == 3
