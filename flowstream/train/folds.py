"""Cross-validation folds of whole groups, with all classes in each as far as possible."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def make_folds(
    labels: Sequence[int], groups: Sequence[str], count: int, *, seed: int
) -> NDArray[np.int64]:
    """Assign whole groups to folds so that each class is spread over them evenly.

    The groups are taken from the largest to the smallest, those of one size in an order drawn from
    the seed; each goes to the fold that has the fewest videos of the group's classes, and of those
    the fold with the fewest videos.

    Parameters
    ----------
    labels : N class numbers
    groups : N names
        Videos of one group look alike (one source film, one subject) and stay together.
    count : int
        Number of folds, at least 2. Some are empty where there are fewer groups.
    seed : int

    Returns
    -------
    (N,), int64
        The fold of each video.
    """
    generator = np.random.default_rng(seed)
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    names = sorted(members)
    order = [names[index] for index in generator.permutation(len(names))]
    order.sort(key=lambda name: -len(members[name]))
    sizes: list[Counter[int]] = [Counter() for _ in range(count)]
    folds = np.zeros(len(labels), np.int64)
    for name in order:
        classes = Counter(labels[index] for index in members[name])

        def load(fold: int, classes: Counter[int] = classes) -> tuple[int, int]:
            shared = sum(sizes[fold][label] * number for label, number in classes.items())
            return shared, sizes[fold].total()

        chosen = min(range(count), key=load)
        sizes[chosen].update(classes)
        folds[members[name]] = chosen
    return folds
