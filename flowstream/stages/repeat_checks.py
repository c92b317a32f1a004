"""Checks of all repeats of a recipe, run before extraction and training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowstream.errors import ParameterError
from flowstream.stages.checks import check_checkpoint_space, check_split, check_videos
from flowstream.stages.recipe import Recipe
from flowstream.stages.repeats import make_repeats

if TYPE_CHECKING:
    from flowstream.dataset import Split


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
        if layout in ("folder", "manifest"):
            raise ParameterError(
                f"splits: layout {layout!r} has one split, not several with numbers; "
                "expected 'ucf101' or 'hmdb51'. Use --folds or --seeds"
            )
        recipe = replace(recipe, split=replace(recipe.split, split=splits[0]))
    split = _check_one(recipe, extract=extract)
    repeats = make_repeats(recipe, **kinds, split=split)
    check_checkpoint_space(recipe, len(split.classes), runs=len(repeats))
    where = ", ".join(map(str, recipe.extract.sources))
    for repeat in repeats:
        if repeat.split is not None:
            check_split(repeat.split, where=where if extract else str(recipe.stack_directory))
        elif repeat.recipe.split != recipe.split:
            _check_one(repeat.recipe, extract=extract)


def _check_one(recipe: Recipe, *, extract: bool) -> Split:
    """Return the split of a recipe, or raise if it cannot be used."""
    from flowstream.dataset import read_split

    if extract:
        return check_videos(recipe)
    split = read_split(recipe.split, recipe.stack_directory)
    check_split(split, where=str(recipe.stack_directory))
    return split
