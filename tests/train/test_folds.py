"""Folds: whole groups, classes spread evenly."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flowstream.train.folds import make_folds

VIDEOS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60)


@given(VIDEOS, st.integers(2, 6), st.integers(0, 99))
def test_a_group_is_in_one_fold(videos: list[tuple[int, int]], count: int, seed: int) -> None:
    labels = [label for label, _ in videos]
    groups = [f"g{group}" for _, group in videos]
    folds = make_folds(labels, groups, count, seed=seed)
    assert folds.min() >= 0
    assert folds.max() < count
    for group in set(groups):
        assert (
            len({int(fold) for fold, own in zip(folds, groups, strict=True) if own == group}) == 1
        )


def test_each_class_is_spread_over_all_folds() -> None:
    labels = [index % 4 for index in range(80)]
    groups = [f"{label}/{index // 8}" for index, label in enumerate(labels)]
    folds = make_folds(labels, groups, 5, seed=3)
    for label in range(4):
        counts = np.bincount(folds[np.array(labels) == label], minlength=5)
        assert counts.tolist() == [4] * 5


def test_the_seed_decides_the_folds() -> None:
    labels, groups = [0] * 20, [str(index) for index in range(20)]
    one, same, other = (make_folds(labels, groups, 4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
