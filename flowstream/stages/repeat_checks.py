"""Checks of all repeats of a recipe, run before extraction and training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flowstream.dataset.split import NUMBERED_LAYOUTS
from flowstream.errors import ParameterError
from flowstream.stages.checks import check_checkpoint_space, check_videos
from flowstream.stages.recipe import Recipe
from flowstream.stages.repeats import make_repeats
from flowstream.stages.split_checks import check_split, read_existing_split


def check_repeats(recipe: Recipe, *, extract: bool = True, **kinds: Any) -> None:
    """Check the splits and the total disk space of all repeats, before the first one starts.

    Parameters
    ----------
    recipe : Recipe
    extract : bool
        False: the stacks exist, and no video is read.
    **kinds
        As for `make_repeats`.

    Raises
    ------
    FlowstreamError
        If a repeat could not be trained, or the layout has no numbered splits.
    """
    splits = kinds.get("splits")
    if splits:
        layout = recipe.split.layout
        if layout not in NUMBERED_LAYOUTS:
            raise ParameterError(
                f"splits: layout {layout!r} has one split, not several with numbers; "
                f"expected {' or '.join(map(repr, NUMBERED_LAYOUTS))}. Use --folds or --seeds"
            )
        recipe = replace(recipe, split=replace(recipe.split, split=splits[0]))
    read = check_videos if extract else read_existing_split
    split = read(recipe)
    repeats = make_repeats(recipe, **kinds, split=split)
    check_checkpoint_space(recipe, len(split.classes), runs=len(repeats))
    where = ", ".join(map(str, recipe.extract.sources))
    for repeat in repeats:
        if repeat.split is not None:
            check_split(repeat.split, where=where if extract else str(recipe.stack_directory))
        elif repeat.recipe.split != recipe.split:
            read(repeat.recipe)
