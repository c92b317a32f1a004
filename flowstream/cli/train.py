"""`flowstream train`: a recipe's stages, from its videos to the report."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from flowstream.cli.options import GroupedCommand

if TYPE_CHECKING:
    from flowstream.stages import Result

EXAMPLE = """\
flowstream train ucf101-tsn
flowstream train recipe.toml --set streams.spatial.epochs=5 --set out=runs/short"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("recipe")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Override a value of the recipe; may be given several times.",
)
@click.option("--device", metavar="NAME", help="Where the networks compute: auto, cpu, cuda:1.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(
    recipe: str, settings: tuple[str, ...], device: str | None, quiet: bool, as_json: bool
) -> None:
    """Train the streams of a recipe, fuse them, and write a report.

    RECIPE is a TOML file, or the name of a shipped recipe (see `flowstream recipes`). All stages
    are run that are not done yet:
    extraction of the flow, training, evaluation, fusion, report. A run that was stopped goes on
    when it is started again.
    """
    from flowstream.recipe import load_recipe
    from flowstream.recipes import find_recipe
    from flowstream.stages import Recipe, run_stages

    if device is not None:
        settings = (*settings, f"device={device}")
    loaded = load_recipe(find_recipe(recipe), Recipe, settings=settings)
    result = run_stages(loaded, progress=not quiet)
    if as_json:
        click.echo(json.dumps({**asdict(result), "report": str(result.report)}, indent=2))
    else:
        click.echo(describe(result))


def describe(result: Result) -> str:
    """The accuracies of a run as a table, where its weights and report are beneath."""
    wide = max(12, *(len(name) + 1 for name in result.accuracies))
    lines = [f"{result.split}", "", f"{'stream':{wide}}{'top-1':>8}{'right':>12}   95 % interval"]
    for name, share in result.accuracies.items():
        right = f"{share.correct}/{share.total}"
        interval = f"{share.low:.3f} - {share.high:.3f}"
        lines.append(f"{name:{wide}}{share.value:8.3f}{right:>12}   {interval}")
    lines.append(f"{'chance':{wide}}{result.chance:8.3f}")
    if result.weights:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in result.weights.items())
        lines += ["", f"fusion weights: {weights}"]
    return "\n".join([*lines, f"report: {result.report}"])
