"""Repetition of a recipe over splits, folds, groups or seeds, with mean and spread."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstream.dataset.holdout import hold_out, shuffle_key
from flowstream.disk import whole_file
from flowstream.errors import ParameterError, SplitError
from flowstream.stages.recipe import Recipe
from flowstream.stages.runs import refuse_changed_streams
from flowstream.stages.training import Result, train_checked

if TYPE_CHECKING:
    from flowstream.dataset import Sample, Split
    from flowstream.report.measures import Measures
    from flowstream.scores import Scores

REPEATS = "repeats.json"


@dataclass(frozen=True)
class Repeat:
    """One of several trainings: a recipe with its own directory, and optionally a split."""

    name: str
    recipe: Recipe
    split: Split | None = None


@dataclass(frozen=True)
class Repeated:
    """Results of several trainings.

    Parameters
    ----------
    results : mapping from the name of the repeat to its Result
    pooled : mapping from stream to Measures
        Measures of the test videos of all repeats together if each video was tested once;
        otherwise empty.
    report : Path or None
        Report of the pooled scores.
    """

    results: Mapping[str, Result]
    pooled: Mapping[str, Measures] = field(default_factory=dict)
    report: Path | None = None

    def values(self, stream: str, measure: str) -> list[float]:
        """Return one measure of a stream in each repeat: "top1", "uar" or "uf1"."""
        found = [result.measures[stream] for result in self.results.values()]
        if measure == "top1":
            return [one.top1.value for one in found]
        return [one.mean_class_accuracy if measure == "uar" else one.mean_f1 for one in found]

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams, with `fused` last."""
        return tuple(next(iter(self.results.values())).measures)


def make_repeats(
    recipe: Recipe,
    *,
    splits: Sequence[int] = (),
    folds: int = 0,
    leave_one_group_out: bool = False,
    seeds: Sequence[int] = (),
    split: Split | None = None,
) -> list[Repeat]:
    """Return the trainings of a cross-validation, or one for each official split or seed.

    The directories of the repeats are below that of the recipe, and all share its stacks. Folds and
    groups divide all videos of the dataset: the videos of the stacks, or those that `split` lists.

    Raises
    ------
    ParameterError, SplitError
        If not exactly one kind of repetition is requested, or there are fewer groups than folds.
    """
    kinds = [bool(splits), bool(folds), leave_one_group_out, bool(seeds)]
    if sum(kinds) != 1:
        raise ParameterError(
            f"repeats: got {sum(kinds)} of splits, folds, leave-one-group-out and seeds; "
            "expected one of them"
        )

    def change(name: str, **changes: Any) -> Recipe:
        stacks, features = recipe.stack_directory, recipe.feature_directory
        return replace(recipe, out=recipe.out / name, stacks=stacks, features=features, **changes)

    if splits:
        return [
            Repeat(
                f"split-{number}",
                change(f"split-{number}", split=replace(recipe.split, split=number)),
            )
            for number in splits
        ]
    if seeds:
        return [
            Repeat(
                f"seed-{seed}",
                change(
                    f"seed-{seed}",
                    streams={
                        name: replace(stream, seed=seed) for name, stream in recipe.streams.items()
                    },
                ),
            )
            for seed in seeds
        ]
    split = split or _read(recipe)
    samples = (*split.train, *split.validation, *split.test)
    parts = _divide_groups(samples, folds, seed=recipe.split.seed)
    word = "group" if leave_one_group_out else "fold"
    names = [str(number) for number in range(1, len(parts) + 1)]
    if leave_one_group_out:
        safe = [_make_safe(part[0]) for part in parts]
        distinct = len({name.casefold() for name in safe}) == len(safe)
        names = safe if distinct else [f"{n}-{name}" for n, name in zip(names, safe, strict=True)]
    return [
        Repeat(
            f"{word}-{name}",
            change(f"{word}-{name}"),
            make_fold(split, groups, validation=recipe.split.validation, seed=recipe.split.seed),
        )
        for name, groups in zip(names, parts, strict=True)
    ]


def run_repeats(
    recipe: Recipe,
    repeats: Sequence[Repeat],
    *,
    progress: bool = True,
    retrain: bool = False,
) -> Repeated:
    """Train every repeat that is not complete, and write `repeats.json`.

    Raises
    ------
    CheckpointError
        Before the first training, if the directory of a repeat contains another run; unless
        `retrain` is True.
    FlowstreamError
        As the stages do.
    """
    from flowstream.dataset.sharing import share_stacks

    with share_stacks():
        if not retrain:
            for repeat in repeats:
                refuse_changed_streams(repeat.recipe, repeat.split or _read(repeat.recipe))
        results = {
            repeat.name: train_checked(
                repeat.recipe, split=repeat.split, progress=progress, retrain=retrain
            )
            for repeat in repeats
        }
    repeated = Repeated(results)
    if repeats[0].split is not None:
        repeated = _pool(recipe, results)
    recipe.out.mkdir(parents=True, exist_ok=True)
    with whole_file(recipe.out / REPEATS) as part:
        part.write_text(json.dumps(as_data(repeated), indent=2) + "\n", encoding="utf-8")
    return repeated


def make_fold(split: Split, groups: Sequence[str], *, validation: float, seed: int) -> Split:
    """Return the split that tests on some groups and trains on all others.

    A fraction of the other groups is held out for validation.
    """
    samples = (*split.train, *split.validation, *split.test)
    held = set(groups)
    rest = [sample for sample in samples if sample.group not in held]
    pairs = [(sample.group, split.classes[sample.label]) for sample in rest]
    chosen = hold_out(pairs, validation, seed)
    return replace(
        split,
        train=tuple(sample for sample in rest if sample.group not in chosen),
        validation=tuple(sample for sample in rest if sample.group in chosen),
        test=tuple(sample for sample in samples if sample.group in held),
        missing={},
    )


def as_data(repeated: Repeated) -> dict[str, Any]:
    """Return the results as plain data: each repeat, mean and spread, and pooled measures."""
    from flowstream.report.statistics import spread

    summary = {
        stream: {
            name: dict(zip(("mean", "std"), spread(repeated.values(stream, name)), strict=True))
            for name in ("top1", "uar", "uf1")
        }
        for stream in repeated.streams
    }
    return {
        "repeats": {
            name: {stream: one.top1.value for stream, one in result.measures.items()}
            for name, result in repeated.results.items()
        },
        "summary": summary,
        "pooled": {
            stream: {
                "top1": one.top1.value,
                "uar": one.mean_class_accuracy,
                "uf1": one.mean_f1,
                "confusion": [list(row) for row in one.confusion],
            }
            for stream, one in repeated.pooled.items()
        },
    }


def _pool(recipe: Recipe, results: Mapping[str, Result]) -> Repeated:
    """Measure the test scores of all repeats together, and write them and their report."""
    from flowstream.report.measures import measure
    from flowstream.report.write import write_report
    from flowstream.scores import write_scores

    first = next(iter(results.values()))
    pooled = {
        stream: _join_scores([result.scores[stream] for result in results.values()])
        for stream in first.scores
    }
    for stream, scores in pooled.items():
        write_scores(recipe.out / "pooled" / stream / "scores.npz", scores)
    streams = {name: scores for name, scores in pooled.items() if name != "fused"}
    report = write_report(
        recipe.out / "pooled" / "report",  # a single run may have its own in `out`
        streams,
        pooled.get("fused"),
        facts={"recipe": recipe, "repeats": list(results)},
    )
    measures = {name: measure(scores) for name, scores in pooled.items()}
    return Repeated(results, measures, report)


def _join_scores(parts: Sequence[Scores]) -> Scores:
    import numpy as np

    return replace(
        parts[0],
        scores=np.concatenate([part.scores for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        videos=tuple(video for part in parts for video in part.videos),
        groups=tuple(group for part in parts for group in part.groups),
        checkpoint="",
    )


def _read(recipe: Recipe) -> Split:
    from flowstream.dataset import read_split

    return read_split(recipe.split, recipe.stack_directory)


def _divide_groups(samples: Sequence[Sample], folds: int, *, seed: int) -> list[list[str]]:
    """Divide groups into folds with about equal numbers of each class; 0: one fold per group.

    The largest groups are placed first, each into the fold that has the fewest videos of the
    group's classes.
    """
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for sample in samples:
        counts[sample.group][sample.label] += 1
    if not folds:
        return [[group] for group in sorted(counts)]
    if not 2 <= folds <= len(counts):
        raise SplitError(
            f"folds: got {folds}, expected 2 to {len(counts)}, the number of groups of videos"
        )
    parts: list[list[str]] = [[] for _ in range(folds)]
    sizes: list[Counter[int]] = [Counter() for _ in range(folds)]
    order = sorted(
        counts, key=lambda group: (-sum(counts[group].values()), shuffle_key(group, seed))
    )
    for group in order:
        own = counts[group]
        fold = min(
            range(folds),
            key=lambda k: (sum(sizes[k][label] * n for label, n in own.items()), sizes[k].total()),
        )
        parts[fold].append(group)
        sizes[fold].update(own)
    return parts


def _make_safe(group: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in group)
