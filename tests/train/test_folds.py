"""Folds: whole groups, classes spread evenly, and blocks of neighbouring groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstream.train.folds import DIVISIONS, make_blocks, make_folds

VIDEOS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60)


@pytest.mark.parametrize("name", DIVISIONS)
@given(VIDEOS, st.integers(2, 6), st.integers(0, 99))
def test_a_group_is_in_one_fold(
    name: str, videos: list[tuple[int, int]], count: int, seed: int
) -> None:
    labels = [label for label, _ in videos]
    groups = [f"g{group}" for _, group in videos]
    folds = DIVISIONS[name](labels, groups, count, seed=seed)
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


def test_a_block_is_a_run_of_neighbouring_groups_of_each_class() -> None:
    numbers = [group for group in range(1, 13) for _ in range(2)]  # g2 comes before g10
    labels = [0] * 24 + [1] * 24
    groups = [f"{name}_g{number}" for name in ("walk", "run") for number in numbers]
    for seed in range(20):
        folds = make_blocks(labels, groups, 3, seed=seed)
        for rows in (folds[:24:2], folds[24::2]):
            assert np.bincount(rows).tolist() == [4, 4, 4]
            # around the ring, the fold changes three times
            assert np.count_nonzero(rows != np.roll(rows, 1)) == 3


def test_blocks_are_cut_at_the_widest_gaps_of_the_numbers() -> None:
    groups = [f"{name}/g{number:02d}" for name in ("walk", "run") for number in (8, 9, 11, 18, 19)]
    sides = set()
    for seed in range(20):
        folds = make_blocks([0] * 5 + [1] * 5, groups, 2, seed=seed)
        for rows in (folds[:5], folds[5:]):
            assert rows.tolist() in ([0, 0, 0, 1, 1], [1, 1, 1, 0, 0])
        sides.add(bool(folds[0] == folds[5]))
    assert sides == {True, False}  # the classes are paired differently
    folds = make_blocks([0] * 5, groups[:5], 3, seed=0)
    assert folds[0] == folds[1] != folds[2] != folds[3] == folds[4]


def test_subjects_with_all_classes_form_blocks_of_subjects() -> None:
    groups = [f"subject{number}" for number in range(1, 13) for _ in range(3)]
    folds = make_blocks([0, 1, 2] * 12, groups, 2, seed=4)[::3]
    assert np.bincount(folds).tolist() == [6, 6]
    assert np.count_nonzero(folds != np.roll(folds, 1)) == 2


def test_one_group_of_two_classes_does_not_put_the_classes_into_one_order() -> None:
    labels = [0] * 8 + [1] * 8
    groups = [f"walk_{index}" for index in range(7)] + ["both"]
    groups += ["both"] + [f"run_{index}" for index in range(7)]
    folds = make_blocks(labels, groups, 2, seed=0)
    for label in (0, 1):
        counts = np.bincount(folds[np.array(labels) == label], minlength=2)
        assert counts.min() >= 3
