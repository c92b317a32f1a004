"""`flowstream train`: all stages of a recipe, from its videos to the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.options import GroupedCommand
from flowstream.cli.text import format_table

if TYPE_CHECKING:
    from flowstream.report.measures import Measures
    from flowstream.stages import Result

EXAMPLE = """\
flowstream train folder --set extract.sources='["my/videos"]'
flowstream train mine.toml --set streams.spatial.epochs=5 --set out=runs/short"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("recipe")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Override a value of the recipe; may be given several times.",
)
@click.option("--device", metavar="NAME", help="Device of the networks: auto, cpu, cuda:1.")
@click.option("--no-extract", is_flag=True, help="Train on the stacks that are there.")
@click.option(
    "--retrain",
    is_flag=True,
    help="Train streams again whose recipe, videos or flow changed; keep the others.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(
    recipe: str,
    settings: tuple[str, ...],
    device: str | None,
    no_extract: bool,
    retrain: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train the streams of a recipe, fuse them, and write a report.

    RECIPE is a TOML file, or the name of a shipped recipe (see `flowstream recipes`). All stages
    run that are not complete yet: extraction of the flow, training, evaluation, fusion, report. A
    run that was interrupted is continued when it is started again; with more epochs than before, a
    complete one is continued, too.
    """
    from flowstream.recipe import load_recipe
    from flowstream.recipes import find_recipe
    from flowstream.stages import Recipe, run_stages, train_streams

    if device is not None:
        settings = (*settings, f"device={device}")
    loaded = load_recipe(find_recipe(recipe), Recipe, settings=settings)
    stage = train_streams if no_extract else run_stages
    result = stage(loaded, progress=not quiet, retrain=retrain)
    if as_json:
        click.echo(json.dumps(as_data(result), indent=2))
    else:
        click.echo(describe(result))


def describe(result: Result) -> str:
    """Return the measures of a run as a table, followed by its fusion weights and report."""
    lines = [result.split, "", format_measures(result.measures)]
    lines.append(f"\nmost frequent class: {result.most_frequent:.3f}")
    if result.weights:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in result.weights.items())
        lines.append(f"fusion weights: {weights}")
    return "\n".join([*lines, f"report: {result.report}"])


def format_measures(measures: dict[str, Measures] | Any) -> str:
    """Return a table with one row for each stream."""
    head = ["stream", "top-1", "right", "95 % interval", "UAR", "UF1"]
    rows = [
        [
            name,
            f"{one.top1.value:.3f}",
            f"{one.top1.correct}/{one.top1.total}",
            f"{one.top1.low:.3f} - {one.top1.high:.3f}",
            f"{one.mean_class_accuracy:.3f}",
            f"{one.mean_f1:.3f}",
        ]
        for name, one in measures.items()
    ]
    return format_table(rows, head=[head])


def as_data(result: Result) -> dict[str, Any]:
    """Return a run's result as plain data."""
    return {
        "measures": {name: measures_as_data(one) for name, one in result.measures.items()},
        "weights": dict(result.weights),
        "most_frequent": result.most_frequent,
        "split": result.split,
        "report": str(result.report),
    }


def measures_as_data(one: Measures) -> dict[str, float]:
    """Return the measures of one stream as plain data."""
    return {
        "top1": one.top1.value,
        "low": one.top1.low,
        "high": one.top1.high,
        "correct": one.top1.correct,
        "total": one.top1.total,
        f"top{one.k}": one.top_k.value,
        "uar": one.mean_class_accuracy,
        "uf1": one.mean_f1,
    }
