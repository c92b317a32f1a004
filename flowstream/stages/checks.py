"""Fast checks of the data of a recipe, run before extraction and training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.disk import match_pattern
from flowstream.errors import (
    CheckpointError,
    ExtractionError,
    FlowstreamError,
    RecipeError,
    StackError,
)
from flowstream.recipe import build
from flowstream.stages.recipe import Recipe
from flowstream.stages.split_checks import check_split, read_existing_split, shorten

if TYPE_CHECKING:
    from flowstream.dataset import Split
    from flowstream.extract import ExtractRecipe, Job
    from flowstream.types import Size


@dataclass(frozen=True)
class _PlannedStack:
    """Properties of a future stack that the checks of inputs need."""

    path: str
    has_rgb: bool
    has_backward: bool
    stabiliser: object


def check_videos(recipe: Recipe) -> Split:
    """Read the split of the recipe's videos and check it, before any video is extracted.

    Returns
    -------
    Split
        The split, whose stacks may not exist yet.

    Raises
    ------
    SplitError
        As `check_split` does, or if the split cannot be read.
    RecipeError
        If the stacks will not contain an input of a stream.
    ExtractionError
        If the sources cannot be read, or their videos would give fields of several sizes; if the
        stacks are in a pack that has none of a video.
    """
    from flowstream.dataset import read_split
    from flowstream.extract import plan
    from flowstream.store import is_pack

    if is_pack(recipe.stack_directory):
        check_pack(recipe.extract, recipe.stack_directory)
        return read_existing_split(recipe)
    check_sources(recipe.extract)
    _check_inputs(recipe)
    jobs = plan(recipe.extract.sources, recipe.stack_directory)
    by_name = {
        job.output.relative_to(recipe.stack_directory).with_suffix("").as_posix(): job
        for job in jobs
    }
    paths = {name: job.output for name, job in by_name.items()}
    existing = _find_stacks(recipe.stack_directory)
    split = read_split(recipe.split, recipe.stack_directory, paths={**existing, **paths})
    where = ", ".join(map(str, recipe.extract.sources))
    check_split(split, where=where)
    if recipe.extract.size is None:
        used = {one.path for one in (*split.train, *split.validation, *split.test)}
        _check_sizes(recipe, [job for job in jobs if job.output in used])
    return split


def check_sources(recipe: ExtractRecipe) -> None:
    """Raise `ExtractionError` if a recipe names no videos to extract."""
    if not recipe.sources:
        raise ExtractionError(
            "extract.sources: got none, expected at least one video, directory or manifest; or use "
            "only the existing stacks (--no-extract)"
        )


def check_pack(recipe: ExtractRecipe, pack: Path) -> None:
    """Raise `ExtractionError` if videos have no stack in a pack, because none can be added to it.

    Sources that do not exist here are not compared: a pack is often used without its videos.
    """
    from flowstream.dataset.names import VideoNames
    from flowstream.extract import plan

    members = VideoNames(pack)
    sources = [one for one in recipe.sources if one.exists() or any(match_pattern(one))]
    names = [job.output.relative_to(pack).with_suffix("").as_posix() for job in plan(sources, pack)]
    missing = [name for name in names if members.find(name) is None]
    if missing:
        raise ExtractionError(
            f"{pack}: {len(missing)} of {len(names)} videos have no stack in this pack "
            f"({shorten(missing, 3)}). Pack them too, or use only the "
            "existing stacks (--no-extract)"
        )


def check_checkpoint_space(recipe: Recipe, classes: int, *, runs: int = 1) -> int:
    """Return the bytes that the checkpoints of a recipe will take; raise if they will not fit.

    The size of existing files counts as free space, because new files replace them.

    Parameters
    ----------
    recipe : Recipe
    classes : int
        Number of classes.
    runs : int
        Number of trainings, each with its own checkpoints.

    Raises
    ------
    CheckpointError
        The message states the required and the free space.
    """
    from flowstream.extract.forecast import readable_bytes
    from flowstream.extract.trial import free_bytes
    from flowstream.train import TRAINERS
    from flowstream.train.run import BEST, LAST

    needed = largest = 0
    for name, stream in recipe.streams.items():
        trainer = build(TRAINERS[stream.trainer], stream.trainer_options, where=f"streams.{name}")
        kept = trainer.checkpoint_bytes(stream, classes)
        files = (recipe.out / name / BEST, recipe.out / name / LAST)
        existing = sum(path.stat().st_size for path in files if path.is_file())
        needed += max(0, sum(kept) - existing)
        largest = max(largest, *kept)
    # A new checkpoint is written completely before it replaces the old one.
    needed = runs * needed + largest
    free = free_bytes(recipe.out)
    if needed > free:
        raise CheckpointError(
            f"{recipe.out}: the checkpoints will take about {readable_bytes(needed)}; the disk has "
            f"{readable_bytes(free)} free. Use another out, or free some space"
        )
    return needed


def share_disk(*directories: Path) -> bool:
    """Return whether directories, which may not exist yet, are on one disk."""
    devices = set()
    for directory in directories:
        while not directory.exists() and directory != directory.parent:
            directory = directory.parent
        devices.add(directory.stat().st_dev)
    return len(devices) == 1


def check_stacks(recipe: Recipe, split: Split, *, retrained: Collection[str] = ()) -> None:
    """Check the stacks of all parts for the streams that are not complete, before the training.

    Parameters
    ----------
    recipe : Recipe
    split : Split
    retrained : collection of str
        Streams that will be trained again, although they are complete.

    Raises
    ------
    StackError
        If a stack cannot be read, lacks an input of a stream, is too short for one, or was made
        with other settings than the first.
    """
    from flowstream.train.clips import viewed_clips

    samples = (*split.train, *split.validation, *split.test)
    for name, stream in recipe.streams.items():
        if name in retrained or not (recipe.out / name / "scores.npz").exists():
            viewed_clips(stream, samples, stream.evaluation)


def _check_inputs(recipe: Recipe) -> None:
    """Raise `RecipeError` if a stream needs data that the table [extract] does not store."""
    from flowstream.train.clips import make_inputs

    extract = recipe.extract
    stack: Any = _PlannedStack(
        path="[extract]",
        has_rgb=extract.rgb,
        has_backward=extract.backward,
        stabiliser=None if extract.stabilise == "none" else extract.stabilise,
    )
    for name, stream in recipe.streams.items():
        for one in make_inputs(stream).values():
            try:
                one.check_stack(stack)
            except StackError as error:
                reason = str(error).replace("extract again with --", "set in this table: ")
                raise RecipeError(f"streams.{name}: {reason}") from error


def _check_sizes(recipe: Recipe, jobs: Sequence[Job]) -> None:
    """Raise `ExtractionError` if the videos of a split give fields of more than one size."""
    found: dict[Size, list[Job]] = {}
    for job in jobs:
        size = _field_size(recipe, job)
        if size is not None:
            found.setdefault(size, []).append(job)
    if len(found) > 1:
        largest = sorted(found.items(), key=lambda entry: -len(entry[1]))
        listed = ", ".join(
            f"{columns}x{rows} ({len(some)}, such as {some[0].source})"
            for (rows, columns), some in largest[:3]
        )
        more = f", and {len(found) - 3} more sizes" if len(found) > 3 else ""
        rows, columns = largest[0][0]
        raise ExtractionError(
            f"extract.size: the videos give fields of {len(found)} sizes, {listed}{more}; networks "
            f'need one: set size = "{columns}x{rows}" in [extract]'
        )


def _field_size(recipe: Recipe, job: Job) -> Size | None:
    """Return the size of a video's fields; None if it is unreadable, which extraction reports."""
    from flowstream.store import open_stack
    from flowstream.video import probe

    try:
        if job.output.exists():
            with open_stack(job.output) as stack:
                return stack.size
        info = probe(job.source, stream=recipe.extract.stream)
        return recipe.extract.build_sampling().target(info.rows, info.columns, info.aspect)
    except FlowstreamError:
        return None


def _find_stacks(directory: Path) -> dict[str, Path]:
    """Return the stacks that a directory already has, by name."""
    from flowstream.dataset.names import VideoNames

    if not directory.is_dir():
        return {}
    names = VideoNames(directory)
    return {name: names[name] for name in names}
