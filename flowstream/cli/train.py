"""`flowstream train`: all stages of a recipe, from its videos to the report."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.cores import share_cores
from flowstream.cli.measures import format_measures, measures_as_data
from flowstream.cli.options import (
    GroupedCommand,
    json_option,
    options_of,
    quiet_option,
    recipe_settings,
)
from flowstream.cli.text import format_table

if TYPE_CHECKING:
    from flowstream.stages import Recipe, Result
    from flowstream.stages.repeats import Repeated

EXAMPLE = """\
flowstream train folder --set extract.sources='["my/videos"]'
flowstream train mine.toml --set streams.spatial.epochs=5 --set out=runs/short
flowstream train ucf101-tsn --splits 1,2,3
flowstream train mine.toml --leave-one-group-out"""


MAX_NUMBERS = 1000
"""Limit of the numbers in one range, each of which is a training."""


MAX_CONFUSION = 10
"""Number of classes up to which a confusion matrix is printed."""


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """List of integers, such as `1,2,3` or `1-3`."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the integers; anything else is a usage error."""
        if isinstance(value, tuple):
            return value
        numbers: list[int] = []
        for part in str(value).split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdecimal() or (dash and not last.isdecimal()):
                self.fail(f"got {value!r}, expected integers such as 1,2,3", param, ctx)
            # limited first, because Python does not convert more than 4,300 digits
            if max(len(first), len(last)) > 19 or int(last or first) - int(first) >= MAX_NUMBERS:
                self.fail(f"got {part.strip()!r:.60}, expected fewer numbers", param, ctx)
            if int(last or first) < int(first):
                self.fail(f"got {part.strip()!r}, expected the smaller number first", param, ctx)
            numbers += range(int(first), int(last or first) + 1)
        return tuple(dict.fromkeys(numbers))


_repetition = options_of("Repetition")
_checks = options_of("Checks")


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("recipe")
@recipe_settings
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of epochs of all streams; more than before continue a complete run.",
)
@click.option("--device", metavar="NAME", help="Device of the networks: auto, cpu, cuda:1.")
@_repetition(
    "--splits",
    type=Numbers(),
    metavar="1,2,3",
    help="Train on each of these official splits.",
)
@_repetition(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Cross-validate over K folds of whole groups.",
)
@_repetition(
    "--leave-one-group-out",
    is_flag=True,
    help="Test on each group (subject, recording) in turn, and train on all others.",
)
@_repetition(
    "--seeds",
    type=Numbers(),
    metavar="0,1,2",
    help="Train with each of these seeds.",
)
@_checks(
    "--overfit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Check the training: train on N videos without augmentation until they are memorised.",
)
@_checks(
    "--find-lr",
    is_flag=True,
    help="Suggest a learning rate for each stream, and train nothing.",
)
@click.option("--no-extract", is_flag=True, help="Use only the existing stacks.")
@click.option(
    "--retrain",
    is_flag=True,
    help="Retrain the streams whose recipe, videos or flow changed; keep the others.",
)
@quiet_option
@json_option
def train(
    recipe: str,
    settings: tuple[str, ...],
    epochs: int | None,
    device: str | None,
    splits: tuple[int, ...] | None,
    folds: int | None,
    leave_one_group_out: bool,
    seeds: tuple[int, ...] | None,
    overfit: int | None,
    find_lr: bool,
    no_extract: bool,
    retrain: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train the streams of a recipe, fuse them, and write a report.

    RECIPE is a TOML file, or the name of a shipped recipe (see `flowstream recipes`). The
    stages are extraction of the flow, training, evaluation, fusion and report; completed stages are
    skipped. To continue a run that was interrupted, start it again. A complete run is continued if
    the recipe has more epochs than before.
    """
    share_cores()
    from flowstream.stages import prepare, train_checked

    loaded = _load(recipe, settings, epochs=epochs, device=device)
    kinds: dict[str, Any] = {
        "splits": splits or (),
        "folds": folds or 0,
        "leave_one_group_out": leave_one_group_out,
        "seeds": seeds or (),
    }
    _refuse_combinations(kinds, overfit=overfit, find_lr=find_lr)
    if any(kinds.values()):
        from flowstream.stages.repeat_checks import check_repeats

        check_repeats(loaded, extract=not no_extract, **kinds)
    prepare(loaded, extract=not no_extract, progress=not quiet)
    if find_lr or overfit:
        click.echo(_check(loaded, overfit=overfit, progress=not quiet, as_json=as_json))
        return
    if any(kinds.values()):
        repeated = _repeat(loaded, kinds, progress=not quiet, retrain=retrain)
        text = describe_repeats(repeated)
        data = repeats_as_data(repeated)
    else:
        result = train_checked(loaded, progress=not quiet, retrain=retrain)
        text, data = describe(result), as_data(result)
    click.echo(json.dumps(data, indent=2) if as_json else text)


def _load(
    recipe: str, settings: tuple[str, ...], *, epochs: int | None, device: str | None
) -> Recipe:
    """Return a recipe with the settings of the command line."""
    from flowstream.recipe import load_recipe
    from flowstream.recipes import find_recipe
    from flowstream.stages import Recipe

    if device is not None:
        settings = (*settings, f"device={device}")
    loaded = load_recipe(find_recipe(recipe), Recipe, settings=settings)
    if epochs is None:
        return loaded
    streams = {name: replace(one, epochs=epochs) for name, one in loaded.streams.items()}
    return replace(loaded, streams=streams)


def _repeat(recipe: Recipe, kinds: dict[str, Any], *, progress: bool, retrain: bool) -> Repeated:
    from flowstream.stages.repeats import make_repeats, run_repeats

    repeats = make_repeats(recipe, **kinds)
    return run_repeats(recipe, repeats, progress=progress, retrain=retrain)


def _refuse_combinations(kinds: dict[str, Any], *, overfit: int | None, find_lr: bool) -> None:
    """Raise a usage error for a check together with another one or with a repetition."""
    if overfit and find_lr:
        raise click.UsageError("--overfit and --find-lr are two checks; give one of them")
    given = [f"--{name.replace('_', '-')}" for name, value in kinds.items() if value]
    if given and (overfit or find_lr):
        check = "--overfit" if overfit else "--find-lr"
        raise click.UsageError(f"{check} checks one training; leave out {', '.join(given)}")


def _check(recipe: Recipe, *, overfit: int | None, progress: bool, as_json: bool) -> str:
    """Run the requested check and return its result as text or JSON."""
    from flowstream.stages.trials import find_rates, overfit_streams

    if overfit:
        learnt = overfit_streams(recipe, overfit, progress=progress)
        if as_json:
            return json.dumps({name: asdict(one) for name, one in learnt.items()}, indent=2)
        rows = [
            [name, str(one.videos), str(one.epochs), f"{one.loss:.3f}", f"{one.top1:.3f}"]
            for name, one in learnt.items()
        ]
        table = format_table(rows, head=[["stream", "videos", "epochs", "loss", "top-1"]])
        return f"{table}\na stream that can learn reaches top-1 1, unless its videos look the same"
    rates = find_rates(recipe, progress=progress)
    words = ("suggestion", "steepest", "diverged")
    values = {name: {word: getattr(one, word) for word in words} for name, one in rates.items()}
    if as_json:
        return json.dumps(
            {name: {**values[name], **asdict(rates[name])} for name in rates}, indent=2
        )
    rows = [[name, *(f"{rate:.1e}" for rate in one.values())] for name, one in values.items()]
    head = [["stream", "suggested", "steepest", "diverged"]]
    settings = " ".join(
        f"--set streams.{name}.learning_rate={one.suggestion:.1e}" for name, one in rates.items()
    )
    return f"{format_table(rows, head=head)}\nuse with: {settings}"


def describe_repeats(repeated: Repeated) -> str:
    """Return a table of each repeat, mean and spread, and the pooled measures."""
    from flowstream.report.statistics import spread

    head = ["", *repeated.streams]
    rows = [
        [name, *(f"{result.measures[stream].top1.value:.3f}" for stream in repeated.streams)]
        for name, result in repeated.results.items()
    ]
    for measure, title in (("top1", "top-1"), ("uar", "UAR"), ("uf1", "UF1")):
        cells = [spread(repeated.values(stream, measure)) for stream in repeated.streams]
        rows.append([f"{title}, mean", *(f"{mean:.3f} ± {std:.3f}" for mean, std in cells)])
    text = format_table(rows, head=[head])
    if repeated.pooled:
        text += f"\n\nall test videos together:\n{format_measures(repeated.pooled)}"
        text += _format_confusion(repeated)
        text += f"\nreport: {repeated.report}"
    return text


def _format_confusion(repeated: Repeated) -> str:
    """Return the pooled confusion matrix of the last stream; an empty string for many classes."""
    stream = repeated.streams[-1]
    one = repeated.pooled[stream]
    if len(one.classes) > MAX_CONFUSION:
        return ""
    names = [result.name for result in one.classes]
    rows = [[name, *map(str, row)] for name, row in zip(names, one.confusion, strict=True)]
    table = format_table(rows, head=[["", *names]])
    return f"\n\nclasses (rows) and predictions (columns) of {stream}:\n{table}"


def repeats_as_data(repeated: Repeated) -> dict[str, Any]:
    """Return the results of repeats as plain data."""
    from flowstream.stages.repeats import as_data

    return as_data(repeated)


def describe(result: Result) -> str:
    """Return the measures of a run as a table, followed by its fusion weights and report."""
    lines = [result.split, "", format_measures(result.measures)]
    lines.append(f"\nmost frequent class: {result.most_frequent:.3f}")
    if result.weights:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in result.weights.items())
        lines.append(f"fusion weights: {weights}")
    return "\n".join([*lines, f"report: {result.report}"])


def as_data(result: Result) -> dict[str, Any]:
    """Return a run's result as plain data."""
    return {
        "measures": {name: measures_as_data(one) for name, one in result.measures.items()},
        "weights": dict(result.weights),
        "most_frequent": result.most_frequent,
        "split": result.split,
        "report": str(result.report),
    }
