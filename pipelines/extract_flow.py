"""Run the first stage of a recipe: extract the flow stacks of its videos.

python pipelines/extract_flow.py ucf101-tsn
"""

from __future__ import annotations

import click

from flowstream.cli import Program
from flowstream.cli.options import recipe_settings
from flowstream.recipe import load_recipe
from flowstream.recipes import find_recipe
from flowstream.stages import Recipe, extract_flow


@click.command(cls=Program)
@click.argument("recipe")
@recipe_settings
def main(recipe: str, settings: tuple[str, ...]) -> None:
    """Extract the flow stacks of the videos of RECIPE; existing stacks are skipped."""
    loaded = load_recipe(find_recipe(recipe), Recipe, settings=settings)
    summary = extract_flow(loaded.extract, loaded.stack_directory)
    click.echo(
        f"{loaded.stack_directory}: {len(summary.done)} made, {len(summary.skipped)} skipped"
    )


if __name__ == "__main__":
    main()
