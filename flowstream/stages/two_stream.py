"""The whole job of one recipe, stage by stage: videos → stacks → checkpoints → scores → report.

Each stage reads only what the one before left on disk and skips what is done, so that a run that
was stopped is continued by starting it again, and one that is complete costs little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flowstream.errors import ExtractionError, ScoresError, SplitError
from flowstream.extract import ExtractRecipe
from flowstream.stages.recipe import Recipe

if TYPE_CHECKING:
    from flowstream.dataset import Split
    from flowstream.extract import Summary
    from flowstream.fusion import Mixture
    from flowstream.report.measures import Share
    from flowstream.scores import Scores

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Result:
    """What a run ended with.

    `accuracies` are top-1 on the test part by stream, and `fused` where there are several; `chance`
    is the share of the most frequent class; `weights` are those of the fusion.
    """

    accuracies: Mapping[str, Share]
    weights: Mapping[str, float]
    chance: float
    split: str
    report: Path


def run_stages(recipe: Recipe, *, progress: bool = True) -> Result:
    """Do the whole job: `extract_flow`, then `train_streams`.

    What is already known to stop the training stops it before the videos are extracted.

    Raises
    ------
    FlowstreamError
        As the stages do.
    """
    recipe.check_networks()
    extract_flow(recipe.extract, recipe.stack_folder, progress=progress)
    return train_checked(recipe, progress=progress)


def extract_flow(recipe: ExtractRecipe, folder: Path, *, progress: bool = True) -> Summary:
    """Make the stacks of a recipe's videos in a folder.

    Raises
    ------
    ExtractionError
        If a video failed; the others are done.
    """
    from flowstream.extract import extract, plan

    summary = extract(
        plan(recipe.sources, folder),
        recipe.settings(),
        folder,
        workers=recipe.jobs,
        progress=progress,
    )
    if summary.failed:
        raise ExtractionError(
            f"{_videos(len(summary.failed))} failed, the first: {summary.failed[0].error}; all are "
            f"in {folder / 'extract.jsonl'}. Mend or remove them, or train without them: "
            "pipelines/train_two_stream.py starts from the stacks that are there"
        )
    return summary


def train_streams(recipe: Recipe, *, progress: bool = True) -> Result:
    """Train, evaluate and fuse the streams of a recipe on its stacks, and write the report.

    Each stream's folder gets its checkpoints, logs and `scores.npz` of the test videos, and the
    scores that the fusion is fitted on (validation, or training where nothing is held out).

    Raises
    ------
    SplitError
        If there is nothing to test on, or nothing to tell apart.
    FlowstreamError
        As the stages do.
    """
    recipe.check_networks()
    return train_checked(recipe, progress=progress)


def train_checked(recipe: Recipe, *, progress: bool = True) -> Result:
    """What `train_streams` does, of a recipe whose networks have been checked."""
    from flowstream.dataset import read_split
    from flowstream.scores import write_scores
    from flowstream.train.fit import fit

    split = read_split(recipe.split, recipe.stack_folder)
    if not split.test:
        raise SplitError(f"{recipe.stack_folder}: no test video of the split is there")
    if len(split.classes) < 2:
        raise SplitError(
            f"{recipe.stack_folder}: videos of one class alone ({split.classes[0]!r}), expected "
            "two at least: there is nothing to tell apart"
        )
    seen: Part = "validation" if split.validation else "train"
    fitting, testing = [], []
    for name, stream in recipe.streams.items():
        best = fit(stream, split, recipe.out / name, device=recipe.device, progress=progress)
        scored = partial(_scored, recipe, split, best, name=name, progress=progress)
        if len(recipe.streams) > 1:
            fitting.append(scored(part=seen))
        testing.append(scored(part="test"))
    if len(testing) == 1:
        return _reported(recipe, split, testing, fused=None, mixture=None)
    mixture = recipe.fusing().fit(fitting)
    fused = mixture(testing)
    write_scores(recipe.out / "fused" / "scores.npz", fused)
    return _reported(recipe, split, testing, fused=fused, mixture=mixture)


def _scored(
    recipe: Recipe, split: Split, checkpoint: Path, *, name: str, part: Part, progress: bool
) -> Scores:
    """A stream's scores of a part, read where this checkpoint has given them before."""
    from flowstream.scores import read_scores, write_scores
    from flowstream.train.checkpoint import load_checkpoint
    from flowstream.train.predict import predict

    path = recipe.out / name / ("scores.npz" if part == "test" else f"scores-{part}.npz")
    videos = tuple(sample.video for sample in getattr(split, part))
    try:
        scores = read_scores(path)
        if scores.checkpoint == load_checkpoint(checkpoint).identity and scores.videos == videos:
            return scores
    except ScoresError:
        pass  # none yet, or damaged ones: they are made anew
    scores = predict(checkpoint, split, part, device=recipe.device, progress=progress)
    scores = replace(scores, stream=name)
    write_scores(path, scores)
    return scores


def _reported(
    recipe: Recipe,
    split: Split,
    testing: list[Scores],
    *,
    fused: Scores | None,
    mixture: Mixture | None,
) -> Result:
    from flowstream.report.measures import measure
    from flowstream.report.write import write_report

    weights = dict(zip(mixture.streams, mixture.weights, strict=True)) if mixture else {}
    streams = {scores.stream: scores for scores in testing}
    facts = {
        "recipe": recipe,
        "split": split.summary(),
        "weights": weights,
        "weights chosen on": mixture.fitted_on if mixture else "",
    }
    report = write_report(
        recipe.out / "report",
        streams,
        fused,
        facts=facts,
        logs={name: recipe.out / name / "log.csv" for name in streams},
    )
    shown = streams if fused is None else {**streams, "fused": fused}
    return Result(
        accuracies={name: measure(scores).top1 for name, scores in shown.items()},
        weights=weights,
        chance=split.chance,
        split=split.summary(),
        report=report,
    )


def _videos(count: int) -> str:
    return f"{count} video" if count == 1 else f"{count} videos"
