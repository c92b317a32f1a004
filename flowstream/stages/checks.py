"""Checks of a recipe's data that take seconds, before extraction and training take hours."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from flowstream.errors import SplitError
from flowstream.stages.recipe import Recipe

if TYPE_CHECKING:
    from flowstream.dataset import Split


def check_videos(recipe: Recipe) -> None:
    """Read the split of the recipe's videos and check it, before any video is extracted.

    Raises
    ------
    SplitError
        As `check_split` does, or if the split cannot be read.
    ExtractionError
        If the sources cannot be read.
    """
    from flowstream.dataset import read_split
    from flowstream.extract import plan

    jobs = plan(recipe.extract.sources, recipe.stack_directory)
    paths = {
        job.output.relative_to(recipe.stack_directory).with_suffix("").as_posix(): job.output
        for job in jobs
    }
    existing = _find_stacks(recipe.stack_directory)
    split = read_split(recipe.split, recipe.stack_directory, paths={**existing, **paths})
    where = ", ".join(map(str, recipe.extract.sources))
    check_split(split, where=where)


def check_split(split: Split, *, where: str) -> None:
    """Raise for splits that cannot be trained or tested on, and warn of doubtful ones.

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
        names = _shorten(split.untrained)
        raise SplitError(
            f"{where}: {len(split.untrained)} of {len(split.classes)} classes have test videos but "
            f"no training video ({names}); add some, or remove those test videos"
        )
    train = {sample.group for sample in (*split.train, *split.validation)}
    both = sorted(train & {sample.group for sample in split.test})
    if both:
        sys.stderr.write(
            f"warning: {len(both)} groups have videos in training and in test ({_shorten(both)}); "
            "results will look better than they are\n"
        )


def _find_stacks(directory: Path) -> dict[str, Path]:
    """Return the stacks that a directory already has, by name."""
    from flowstream.dataset.names import VideoNames

    if not directory.is_dir():
        return {}
    names = VideoNames(directory)
    return {name: names[name] for name in names}


def _shorten(names: Iterable[str], most: int = 5) -> str:
    every = list(names)
    more = f", and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
