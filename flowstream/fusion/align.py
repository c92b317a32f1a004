"""Alignment of the scores of several streams to one order of videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from flowstream.errors import ScoresError
from flowstream.scores import Scores


def align(parts: Sequence[Scores]) -> tuple[Scores, ...]:
    """Return the parts with their rows in the first part's order of videos.

    Raises
    ------
    ScoresError
        If there are no scores, two belong to the same stream, a video occurs twice, or they differ
        in classes, videos, the label of a video or the part of the dataset.
    """
    if not parts:
        raise ScoresError("no scores to fuse; expected those of at least one stream")
    streams = [part.stream for part in parts]
    if len(set(streams)) < len(streams):
        raise ScoresError(
            f"got two scores of one stream among {shorten(streams)}; expected each stream once"
        )
    for part in parts:
        _check_unique(part)
    return (parts[0], *(_reorder(parts[0], part) for part in parts[1:]))


def shorten(names: Iterable[str], most: int = 3) -> str:
    """Format names in one line, such as `a, b, c and 5 more`."""
    every = list(names)
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"


def _reorder(first: Scores, other: Scores) -> Scores:
    """Return `other` with its rows in the order of `first`."""
    pair = f"scores of {first.stream!r} and {other.stream!r}"
    if first.part != other.part:
        raise ScoresError(
            f"{pair}: they are of the parts {first.part!r} and {other.part!r}; expected one part"
        )
    _check_same(f"{pair}: classes", first.classes, other.classes, streams=(first, other))
    if first.classes != other.classes:
        raise ScoresError(f"{pair}: the same classes in another order; predict both from one split")
    _check_same(f"{pair}: videos", first.videos, other.videos, streams=(first, other))
    row = {video: index for index, video in enumerate(other.videos)}
    order = np.array([row[video] for video in first.videos], dtype=np.intp)
    wrong = [
        video
        for video, one, two in zip(first.videos, first.labels, other.labels[order], strict=True)
        if one != two
    ]
    if wrong:
        raise ScoresError(
            f"{pair}: videos with another label: {len(wrong)} ({shorten(wrong)}); "
            "predict both from one split"
        )
    groups = tuple(other.groups[row] for row in order) if other.groups else ()
    return replace(
        other,
        scores=other.scores[order],
        labels=other.labels[order],
        videos=first.videos,
        groups=groups,
    )


def _check_unique(part: Scores) -> None:
    twice = [video for video, times in Counter(part.videos).items() if times > 1]
    if twice:
        raise ScoresError(
            f"scores of {part.stream!r}: {len(twice)} videos occur more than once "
            f"({shorten(twice)}); expected one row for each video"
        )


def _check_same(
    what: str, one: Sequence[str], two: Sequence[str], *, streams: tuple[Scores, Scores]
) -> None:
    missing = [
        f"{len(only)} only in {part.stream!r} ({shorten(only)})"
        for part, only in zip(
            streams, (sorted(set(one) - set(two)), sorted(set(two) - set(one))), strict=True
        )
        if only
    ]
    if missing:
        raise ScoresError(f"{what} differ: {', '.join(missing)}; predict both from one split")
