"""Hold out a fraction of videos, class by class and in whole groups."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable


def hold_out(clips: Iterable[tuple[str, str]], fraction: float, seed: int) -> frozenset[str]:
    """Choose groups so that they contain about `fraction` of each class's videos.

    Videos of one group look alike (one source video, one film), so a group is held out as a whole
    or not at all. Each class in turn adds groups in an order shuffled by `seed`, as long as a group
    brings the class closer to its fraction; a class without such a group adds its smallest group. A
    group is never held out if one of its classes would have no videos left, so a class with a
    single group keeps it. The order depends only on the seed and the name of the group: adding a
    class or a video does not reshuffle the others.

    Parameters
    ----------
    clips : iterable of (group, class)
        One pair for each video; a group may have videos of several classes.
    fraction : float
        From 0 (nothing is held out) to below 1.
    seed : int

    Returns
    -------
    frozenset of str
        Groups that are held out.
    """
    if fraction <= 0:
        return frozenset()
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for group, class_name in clips:
        sizes[group][class_name] += 1
        totals[class_name] += 1
    held: set[str] = set()
    taken: Counter[str] = Counter()

    def can_take(group: str) -> bool:
        inside = sizes[group].items()
        return group not in held and all(taken[name] + n < totals[name] for name, n in inside)

    def hold(group: str) -> None:
        held.add(group)
        taken.update(sizes[group])

    order = sorted(sizes, key=lambda group: shuffle_key(group, seed))
    for class_name in sorted(totals):
        own = [group for group in order if class_name in sizes[group]]
        target = fraction * totals[class_name]
        for group in own:
            now = taken[class_name]
            closer = abs(target - now - sizes[group][class_name]) < abs(target - now)
            if closer and can_take(group):
                hold(group)
        left = [group for group in own if can_take(group)]
        if not taken[class_name] and left:
            hold(min(left, key=lambda group: sizes[group][class_name]))
    return frozenset(held)


def shuffle_key(group: str, seed: int) -> bytes:
    """Return a sort key that depends only on the seed and the name of the group."""
    text = f"{seed}/{group}".encode("utf-8", errors="surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()
