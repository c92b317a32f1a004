"""Every model of the zoo on the toy action set at one budget: who sees motion, and at what cost.

python pipelines/zoo.py pipelines/recipes/zoo.toml
"""

from __future__ import annotations

from pathlib import Path

import click

from flowstream.cli import Program
from flowstream.recipe import load_recipe
from flowstream.stages.zoo import ZooRecipe, compare_models


@click.command(cls=Program)
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="Override it.")
def main(recipe: Path, settings: tuple[str, ...]) -> None:
    """Train and compare the models of RECIPE; what is done already is skipped."""
    report = compare_models(load_recipe(recipe, ZooRecipe, settings=settings))
    click.echo(report.with_suffix(".csv").read_text(encoding="utf-8"), nl=False)
    click.echo(f"report: {report}", err=True)


if __name__ == "__main__":
    main()
