"""Cross-validation folds of whole groups, either single groups or blocks of neighbours."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from flowstream.extract.listing import natural_key
from flowstream.plugins import Plugins

Division = Callable[..., NDArray[np.int64]]
"""Function of labels, groups, the number of folds and a seed, such as `make_blocks`."""

DIVISIONS: Plugins[Division] = Plugins(
    "division", {"blocks": f"{__name__}:make_blocks", "groups": f"{__name__}:make_folds"}
)
"""Divisions of videos into the folds of a cross-validation."""

_NUMBER = re.compile(r"(.*?)(\d+)\D*", re.DOTALL)
"""What comes before the last number of a group's name, and the number."""


def make_folds(
    labels: Sequence[int], groups: Sequence[str], count: int, *, seed: int
) -> NDArray[np.int64]:
    """Assign whole groups to folds so that each class is spread over them evenly.

    The groups are assigned from the largest to the smallest; groups of equal size are in an order
    drawn from the seed. Each group is added to the fold that has the fewest videos of the group's
    classes. If several folds have equally few, the fold with the fewest videos is chosen.

    Parameters
    ----------
    labels : N class numbers
    groups : N names
        Videos of one group look alike (one source film, one subject) and stay together.
    count : int
        Number of folds, at least 2. Some are empty if there are fewer groups.
    seed : int

    Returns
    -------
    (N,), int64
        The fold of each video.
    """
    generator = np.random.default_rng(seed)
    members = _find_members(groups)
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


def _find_members(groups: Sequence[str]) -> dict[str, list[int]]:
    """Return the indices of the videos of each group."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    return members


def make_blocks(
    labels: Sequence[int], groups: Sequence[str], count: int, *, seed: int
) -> NDArray[np.int64]:
    """Assign runs of neighbouring groups to folds, so that related groups are held out together.

    Groups with neighbouring names often resemble each other: sources that were cut one after the
    other, subjects of one session. Folds of single groups then give scores that are too high for
    other data (spatial blocking; Roberts et al. 2017, doi:10.1111/ecog.02881).

    The groups of each class are sorted in natural order and cut into runs: where their numbers have
    the widest gaps, so that no two neighbours are in different folds, or, if the numbers have no
    gaps, into runs of about equal numbers of videos. A group with several classes is sorted with
    its most frequent class; but if most groups have several classes, as subjects do, all groups are
    sorted together. The seed determines the fold of each run and, without gaps, the start of the
    first run (the order is circular).

    Parameters
    ----------
    labels, groups, count, seed
        As for `make_folds`.

    Returns
    -------
    (N,), int64
        The fold of each video.
    """
    generator = np.random.default_rng(seed)
    members = _find_members(groups)
    classes = {name: Counter(labels[index] for index in rows) for name, rows in members.items()}
    mixed = sum(len(own) > 1 for own in classes.values()) > len(classes) / 2
    rings: dict[int, list[str]] = defaultdict(list)
    for name in sorted(members, key=natural_key):
        rings[0 if mixed else classes[name].most_common(1)[0][0]].append(name)
    folds = np.zeros(len(labels), np.int64)
    for _, ring in sorted(rings.items()):
        start, order = int(generator.integers(len(ring))), generator.permutation(count)
        sizes = [len(members[name]) for name in ring]
        runs = _cut_at_gaps(ring, sizes, count)
        if runs is None:
            ring, sizes = ring[start:] + ring[:start], sizes[start:] + sizes[:start]
            runs = _cut_evenly(sizes, count)
        for name, run in zip(ring, runs, strict=True):
            folds[members[name]] = order[run]
    return folds


def _cut_evenly(sizes: Sequence[int], count: int) -> list[int]:
    """Return the run of each group, so that runs have about equal numbers of videos."""
    middles = (np.cumsum(sizes) - np.array(sizes) / 2) / sum(sizes)
    return [int(middle * count) for middle in middles]


def _cut_at_gaps(names: Sequence[str], sizes: Sequence[int], count: int) -> list[int] | None:
    """Return the run of each group, cut at the widest gaps of the numbers; None without gaps.

    Of gaps of equal width, those that divide the videos most evenly are taken first.
    """
    parts = [_NUMBER.fullmatch(name) for name in names]
    found = [part for part in parts if part is not None]
    if len(found) < len(names) or len({part[1] for part in found}) > 1:
        return None  # names without numbers, or several series of numbers
    gaps = np.diff([int(part[2]) for part in found])
    before = np.cumsum(sizes)[:-1] / sum(sizes)
    widest = sorted(np.flatnonzero(gaps > 1), key=lambda cut: (-gaps[cut], abs(before[cut] - 0.5)))
    cuts = widest[: count - 1]
    if len(cuts) < count - 1:
        return None
    return [sum(int(cut) < index for cut in cuts) for index in range(len(names))]
