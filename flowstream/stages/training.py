"""All stages of a recipe: extraction, training, evaluation, fusion, report.

Each stage reads only files of the stage before and skips completed work. To continue a run that was
interrupted, start it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flowstream.errors import CheckpointError, ExtractionError
from flowstream.extract import ExtractRecipe
from flowstream.locks import lock_directory
from flowstream.recipe import build
from flowstream.stages.checks import (
    check_checkpoint_space,
    check_pack,
    check_sources,
    check_stacks,
    check_videos,
    share_disk,
)
from flowstream.stages.differences import list_differences
from flowstream.stages.evaluation import Part, fuse_streams, read_held_out, score_stream
from flowstream.stages.recipe import Recipe
from flowstream.stages.runs import find_changed_streams, set_streams_aside, write_run
from flowstream.stages.split_checks import check_split

if TYPE_CHECKING:
    from flowstream.dataset import Split
    from flowstream.extract import Summary
    from flowstream.fusion import FittedFusion
    from flowstream.report.measures import Measures
    from flowstream.scores import Scores

PATIENCE_SECONDS = 10.0
"""Time to wait for a killed run, whose loader processes hold its lock for up to 5 seconds."""


@dataclass(frozen=True)
class Result:
    """Result of a run.

    Parameters
    ----------
    measures : mapping from stream to Measures
        Measures of the test part; with `fused` if there are several streams.
    weights : mapping from stream to float
        Weights of the fusion, if it has weights.
    most_frequent : float
        Share of the most frequent class in the test part.
    split : str
        Summary of the split.
    report : Path
    scores : mapping from stream to Scores
        Scores of the test part.
    """

    measures: Mapping[str, Measures]
    weights: Mapping[str, float]
    most_frequent: float
    split: str
    report: Path
    scores: Mapping[str, Scores] = field(repr=False)


def run_stages(recipe: Recipe, *, progress: bool = True, retrain: bool = False) -> Result:
    """Run `extract_flow`, then `train_streams`.

    Problems that would stop the training are reported before the videos are extracted.

    Raises
    ------
    FlowstreamError
        As the stages do.
    """
    prepare(recipe, progress=progress)
    return train_checked(recipe, progress=progress, retrain=retrain)


def prepare(recipe: Recipe, *, extract: bool = True, progress: bool = True) -> None:
    """Check a recipe, and extract the flow of its videos.

    Raises
    ------
    FlowstreamError
        If the networks, the videos or their split are invalid, the disk is too small, or a video
        failed.
    """
    recipe.check_networks()
    if extract:
        split = check_videos(recipe)
        needed = check_checkpoint_space(recipe, len(split.classes))
        reserve = needed if share_disk(recipe.out, recipe.stack_directory) else 0
        extract_flow(recipe.extract, recipe.stack_directory, progress=progress, reserve=reserve)


def extract_flow(
    recipe: ExtractRecipe, directory: Path, *, progress: bool = True, reserve: int = 0
) -> Summary:
    """Extract the stacks of a recipe's videos into a directory, and leave `reserve` bytes free.

    If `directory` is a pack, nothing is extracted.

    Raises
    ------
    ExtractionError
        If a video failed; all other videos are extracted. If there are no sources, or a video has
        no stack in the pack.
    """
    from flowstream.extract import RunOptions, Summary, extract, plan
    from flowstream.store import is_pack

    if is_pack(directory):
        check_pack(recipe, directory)
        return Summary((), (), (), seconds=0.0)
    check_sources(recipe)
    summary = extract(
        plan(recipe.sources, directory),
        recipe.settings(),
        directory,
        options=RunOptions(workers=recipe.jobs, progress=progress, reserve=reserve),
    )
    if summary.failed:
        count = len(summary.failed)
        raise ExtractionError(
            f"{count} video{'s' if count > 1 else ''} failed, the first: "
            f"{summary.failed[0].error}; {directory / 'extract.jsonl'} lists all. Repair or "
            "remove them, or use only the existing stacks (--no-extract)"
        )
    return summary


def train_streams(recipe: Recipe, *, progress: bool = True, retrain: bool = False) -> Result:
    """Train, evaluate and fuse the streams of a recipe on its stacks, and write the report.

    The directory of each stream contains its checkpoints, logs and `scores.npz` of the test videos,
    and the scores on which the fusion is fitted (of validation videos, or of training videos if
    there are no validation videos).

    Raises
    ------
    SplitError
        If there are no test videos, or fewer than two classes.
    FlowstreamError
        As the stages do.
    """
    recipe.check_networks()
    return train_checked(recipe, progress=progress, retrain=retrain)


def _lock(out: Path) -> AbstractContextManager[None]:
    return lock_directory(out, CheckpointError, patience=PATIENCE_SECONDS)


def train_checked(
    recipe: Recipe,
    *,
    split: Split | None = None,
    progress: bool = True,
    retrain: bool = False,
) -> Result:
    """Train the streams of a recipe whose networks have been checked.

    If `split` is given, it replaces the split of the recipe. With `retrain`, the directories of
    streams that were trained on other flow, other videos or with another recipe are renamed, and
    these streams are trained again; the others are kept.
    """
    from flowstream.dataset import read_split
    from flowstream.dataset.sharing import share_stacks
    from flowstream.device import choose_device
    from flowstream.report.measures import measure
    from flowstream.scores import write_scores
    from flowstream.train import TRAINERS
    from flowstream.train.distributed import join_processes

    split = split or read_split(recipe.split, recipe.stack_directory)
    check_split(split, where=str(recipe.stack_directory))
    processes = join_processes(choose_device(recipe.device))
    changed: dict[str, CheckpointError] = {}
    if processes.is_main:
        check_checkpoint_space(recipe, len(split.classes))
        changed = find_changed_streams(recipe, split)
        if changed and not retrain:
            raise next(iter(changed.values()))
    seen: Part = "validation" if split.validation else "train"
    fitting, testing = [], []
    with _lock(recipe.out) if processes.is_main else nullcontext(), share_stacks():
        check_stacks(recipe, split, retrained=changed)
        if processes.is_main:
            # the first changes on disk: a refused run leaves its directory as it was
            set_streams_aside(recipe, changed)
            write_run(recipe)
        processes.wait()
        for name, stream in recipe.streams.items():
            trainer = build(
                TRAINERS[stream.trainer], stream.trainer_options, where=f"streams.{name}"
            )
            best = trainer.fit(
                stream,
                split,
                recipe.out / name,
                cache=recipe.feature_directory,
                device=recipe.device,
                progress=progress,
                title=name,
            )
            score = partial(score_stream, recipe, name, split, checkpoint=best, progress=progress)
            if len(recipe.streams) > 1:
                held = read_held_out(recipe, name, split, checkpoint=best)
                fitting.append(held or score(part=seen))
            testing.append(score(part="test"))
    fused, fitted = fuse_streams(recipe, fitting, testing)
    if fused is not None and processes.is_main:
        write_scores(recipe.out / "fused" / "scores.npz", fused)
    streams = {scores.stream: scores for scores in testing}
    shown = streams if fused is None else {**streams, "fused": fused}
    report = recipe.out / "report" / "report.html"
    if processes.is_main:
        report = _write_report(recipe, split, shown, fitted=fitted)
    return Result(
        measures={name: measure(scores) for name, scores in shown.items()},
        weights=dict(fitted.describe()) if fitted else {},
        most_frequent=split.most_frequent,
        split=split.summary(),
        report=report,
        scores=shown,
    )


def _write_report(
    recipe: Recipe, split: Split, scores: Mapping[str, Scores], *, fitted: FittedFusion | None
) -> Path:
    """Write the report of a run, and pages of the videos in it."""
    from flowstream.report.cards import CardSource, make_cards
    from flowstream.report.write import write_report

    streams = {name: found for name, found in scores.items() if name in recipe.streams}
    facts = {
        "recipe": recipe,
        "split": split.summary(),
        "weights": dict(fitted.describe()) if fitted else {},
        "weights chosen on": fitted.fitted_on if fitted else "",
    }
    directory = recipe.out / "report"
    logs = {name: log for name in streams if (log := recipe.out / name / "log.csv").exists()}
    source = CardSource(recipe.stack_directory, directory, back="report.html")
    return write_report(
        directory,
        streams,
        scores.get("fused"),
        facts=facts,
        logs=logs,
        differences=tuple(list_differences(recipe)),
        cards=make_cards(scores, source),
    )
