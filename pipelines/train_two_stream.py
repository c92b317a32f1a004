"""Run the second stage of a recipe: train, fuse and report.

python pipelines/train_two_stream.py ucf101-tsn
"""

from __future__ import annotations

import click

from flowstream.cli import Program
from flowstream.cli.options import recipe_settings
from flowstream.cli.train import describe
from flowstream.recipe import load_recipe
from flowstream.recipes import find_recipe
from flowstream.stages import Recipe, train_streams


@click.command(cls=Program)
@click.argument("recipe")
@recipe_settings
def main(recipe: str, settings: tuple[str, ...]) -> None:
    """Train, evaluate and fuse the streams of RECIPE; completed steps are skipped."""
    click.echo(describe(train_streams(load_recipe(find_recipe(recipe), Recipe, settings=settings))))


if __name__ == "__main__":
    main()
