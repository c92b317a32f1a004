"""Scores of trained streams, computed once for each protocol and then read from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flowstream.errors import CheckpointError, ScoresError
from flowstream.recipe import build
from flowstream.stages.recipe import Recipe

if TYPE_CHECKING:
    from flowstream.dataset import Split
    from flowstream.fusion import FittedFusion
    from flowstream.report.measures import Measures
    from flowstream.scores import Scores
    from flowstream.train.checkpoint import Checkpoint
    from flowstream.train.evaluation import Evaluation

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Evaluated:
    """Result of an evaluation: measures and scores by stream."""

    protocol: str
    part: str
    measures: Mapping[str, Measures]
    scores: Mapping[str, Scores] = field(repr=False)
    files: Mapping[str, Path] = field(default_factory=dict)


def score_stream(
    recipe: Recipe,
    name: str,
    split: Split,
    *,
    part: Part,
    checkpoint: Path,
    views: Evaluation | None = None,
    path: Path | None = None,
    progress: bool = True,
) -> Scores:
    """Return a stream's scores of a part, from their file if they belong to this checkpoint.

    Parameters
    ----------
    recipe : Recipe
    name : str
        Name of the stream.
    split : Split
    part : "train", "validation" or "test"
    checkpoint : Path
    views : Evaluation or None
        None means the evaluation of the recipe.
    path : Path or None
        File of the scores; None means the default file of the stream.
    progress : bool
        Show a progress bar on stderr.
    """
    from flowstream.device import choose_device
    from flowstream.scores import read_scores, write_scores
    from flowstream.train.checkpoint import load_checkpoint
    from flowstream.train.distributed import join_processes
    from flowstream.train.predict import predict

    views = views or recipe.streams[name].evaluation
    file = "scores.npz" if part == "test" else f"scores-{part}.npz"
    path = path or recipe.out / name / file
    videos = tuple(sample.video for sample in getattr(split, part))
    try:
        scores = read_scores(path)
        same = scores.protocol == str(views) and scores.videos == videos
        if same and scores.checkpoint == load_checkpoint(checkpoint).identity:
            return scores
    except ScoresError:
        pass  # none yet, or a damaged file: compute them again
    scores = predict(
        checkpoint,
        split,
        part,
        views=views,
        cache=recipe.feature_directory,
        device=recipe.device,
        progress=progress,
        title=name,
    )
    scores = replace(scores, stream=name)
    processes = join_processes(choose_device(recipe.device))
    if processes.is_main:
        write_scores(path, scores)
    processes.wait()
    return scores


def read_held_out(recipe: Recipe, name: str, split: Split, *, checkpoint: Path) -> Scores | None:
    """Return a stream's cross-validated scores of the training videos, for fitting the fusion.

    None if there are validation videos, or if the trainer does not cross-validate.
    """
    from flowstream.train import TRAINERS

    if split.validation:
        return None
    stream = recipe.streams[name]
    trainer = build(TRAINERS[stream.trainer], stream.trainer_options, where=f"streams.{name}")
    scores = trainer.held_out_scores(checkpoint.parent, checkpoint)
    return None if scores is None else replace(scores, stream=name)


def read_fitting_scores(recipe: Recipe, checkpoints: Mapping[str, Checkpoint]) -> list[Scores]:
    """Return the stored scores on which the fusion of a run was fitted, one for each stream.

    These are the scores of the validation videos, or else those of the training videos, which are
    cross-validated if the trainer does that. The list is empty if a stream has no such file, or
    one of another checkpoint.
    """
    from flowstream.scores import read_scores
    from flowstream.train.linear import HELD_OUT

    for files in (("scores-validation.npz",), (HELD_OUT, "scores-train.npz")):
        found = []
        for name, checkpoint in checkpoints.items():
            for file in files:
                try:
                    scores = read_scores(recipe.out / name / file)
                except ScoresError:  # no such file, or a damaged one
                    continue
                if scores.checkpoint == checkpoint.identity:
                    found.append(replace(scores, stream=name))
                    break
        if len(found) == len(checkpoints):
            return found
    return []


def keep_common(parts: Sequence[Scores]) -> list[Scores]:
    """Keep the rows of the videos that all parts have.

    Cross-validated scores have one row for each video and division, others one for each video.
    """
    common = set.intersection(*(set(part.videos) for part in parts))
    kept = []
    for part in parts:
        rows = [row for row, video in enumerate(part.videos) if video in common]
        kept.append(
            replace(
                part,
                scores=part.scores[rows],
                labels=part.labels[rows],
                videos=tuple(part.videos[row] for row in rows),
                groups=tuple(part.groups[row] for row in rows) if part.groups else (),
            )
        )
    return kept


def fuse_streams(
    recipe: Recipe, fitting: Sequence[Scores], testing: Sequence[Scores]
) -> tuple[Scores | None, FittedFusion | None]:
    """Fit the recipe's fusion and fuse the scores; return (None, None) for a single stream."""
    if len(testing) < 2:
        return None, None
    fitted = recipe.make_fusion().fit(keep_common(fitting))
    return fitted(testing), fitted


def evaluate_run(
    recipe: Recipe,
    *,
    part: Part = "test",
    views: Evaluation | None = None,
    streams: Sequence[str] = (),
    progress: bool = True,
) -> Evaluated:
    """Score the streams of a trained run with any protocol, and fuse them.

    The scores and the report of the run are not changed. The new scores are written to a directory
    with the name of the protocol below `evaluations/`.

    Raises
    ------
    CheckpointError
        If a stream has not been trained.
    FlowstreamError
        As scoring does.
    """
    from flowstream.dataset import read_split
    from flowstream.report.measures import measure
    from flowstream.scores import write_scores
    from flowstream.train.run import BEST

    split = read_split(recipe.split, recipe.stack_directory)
    names = list(streams) or list(recipe.streams)
    fitting, testing, files = [], [], {}
    seen: Part = "validation" if split.validation else "train"
    for name in names:
        checkpoint = recipe.out / name / BEST
        if not checkpoint.exists():
            raise CheckpointError(
                f"{checkpoint}: stream {name!r} is not trained yet; train it first"
            )
        protocol = views or recipe.streams[name].evaluation
        directory = recipe.out / "evaluations" / str(protocol).replace(" ", "-")
        files[name] = directory / name / f"{part}.npz"

        score = partial(
            score_stream,
            recipe,
            name,
            split,
            checkpoint=checkpoint,
            views=views,
            progress=progress,
        )
        testing.append(score(part=part, path=files[name]))
        if len(names) > 1:
            held = read_held_out(recipe, name, split, checkpoint=checkpoint)
            fitting.append(held or score(part=seen, path=directory / name / f"{seen}.npz"))
    fused, _ = fuse_streams(recipe, fitting, testing)
    scores = {one.stream: one for one in testing}
    if fused is not None:
        scores["fused"] = fused
        files["fused"] = directory / "fused" / f"{part}.npz"
        write_scores(files["fused"], fused)
    return Evaluated(
        protocol=testing[0].protocol,
        part=part,
        measures={name: measure(one) for name, one in scores.items()},
        scores=scores,
        files=files,
    )
