"""Checks of a split, run before extraction and training."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowstream.errors import SplitError
from flowstream.escapes import escape_controls
from flowstream.stages.recipe import Recipe

if TYPE_CHECKING:
    from flowstream.dataset import Split


def read_existing_split(recipe: Recipe) -> Split:
    """Return the checked split of the existing stacks of a recipe."""
    from flowstream.dataset import read_split

    split = read_split(recipe.split, recipe.stack_directory)
    check_split(split, where=str(recipe.stack_directory))
    return split


def check_split(split: Split, *, where: str) -> None:
    """Raise if a split cannot be used for training and testing; warn if parts share groups.

    Raises
    ------
    SplitError
        If there are no training or test videos, fewer than two classes, or classes with test
        videos but without a training video.
    """
    for part in ("train", "test"):
        if not getattr(split, part):
            raise SplitError(
                f"{where}: no {part} video of the split was found; {split.summary()}. Check the "
                "split files and the directory of the videos"
            )
    if len(split.classes) < 2:
        raise SplitError(
            f"{where}: got videos of one class only ({split.classes[0]!r}), expected at least two"
        )
    if split.untrained:
        names = shorten(split.untrained)
        raise SplitError(
            f"{where}: {len(split.untrained)} of {len(split.classes)} classes have test videos but "
            f"no training video ({names}); add some, or remove those test videos"
        )
    train = {sample.group for sample in (*split.train, *split.validation)}
    both = sorted(train & {sample.group for sample in split.test})
    if both:
        text = escape_controls(
            f"warning: {len(both)} groups have videos in training and in test ({shorten(both)}); "
            "results will look better than they are"
        )
        sys.stderr.write(f"{text}\n")


def shorten(names: Iterable[str], most: int = 5) -> str:
    """Return the first names, and the number of the others, for a message."""
    every = list(names)
    more = f", and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
