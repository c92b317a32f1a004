"""Stage one of a recipe: the flow stacks of its videos.

python pipelines/extract_flow.py pipelines/recipes/ucf101.toml
"""

from __future__ import annotations

from pathlib import Path

import click

from flowstream.cli import Program
from flowstream.recipe import load_recipe
from flowstream.stages import Recipe, extract_flow


@click.command(cls=Program)
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="Override it.")
def main(recipe: Path, settings: tuple[str, ...]) -> None:
    """Make the flow stacks of the videos of RECIPE; what is made already is skipped."""
    loaded = load_recipe(recipe, Recipe, settings=settings)
    summary = extract_flow(loaded.extract, loaded.stack_folder)
    click.echo(f"{loaded.stack_folder}: {len(summary.done)} made, {len(summary.skipped)} there")


if __name__ == "__main__":
    main()
