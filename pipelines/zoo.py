"""Compare accuracy and cost of all models on the toy set at equal budget.

python pipelines/zoo.py zoo
"""

from __future__ import annotations

import click

from flowstream.cli import Program
from flowstream.cli.options import recipe_settings
from flowstream.recipe import load_recipe
from flowstream.recipes import find_recipe
from flowstream.stages.zoo import ZooRecipe, compare_models


@click.command(cls=Program)
@click.argument("recipe")
@recipe_settings
def main(recipe: str, settings: tuple[str, ...]) -> None:
    """Train and compare the models of RECIPE; completed models are skipped."""
    report = compare_models(load_recipe(find_recipe(recipe), ZooRecipe, settings=settings))
    click.echo(report.with_suffix(".csv").read_text(encoding="utf-8"), nl=False)
    click.echo(f"report: {report}", err=True)


if __name__ == "__main__":
    main()
