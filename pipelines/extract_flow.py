"""Stage one of a recipe: the flow stacks of its videos.

python pipelines/extract_flow.py ucf101-tsn
"""

from __future__ import annotations

import click

from flowstream.cli import Program
from flowstream.recipe import load_recipe
from flowstream.recipes import find_recipe
from flowstream.stages import Recipe, extract_flow


@click.command(cls=Program)
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="Override it.")
def main(recipe: str, settings: tuple[str, ...]) -> None:
    """Make the flow stacks of the videos of RECIPE; what is made already is skipped."""
    loaded = load_recipe(find_recipe(recipe), Recipe, settings=settings)
    summary = extract_flow(loaded.extract, loaded.stack_directory)
    click.echo(f"{loaded.stack_directory}: {len(summary.done)} made, {len(summary.skipped)} there")


if __name__ == "__main__":
    main()
