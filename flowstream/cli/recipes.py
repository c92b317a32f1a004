"""`flowstream recipes`: list the shipped recipes, or print one."""

from __future__ import annotations

import json

import click

from flowstream.cli.options import GroupedCommand, json_option
from flowstream.cli.text import wrap_on_terminal

EXAMPLE = """\
flowstream recipes
flowstream recipes show folder > mine.toml
flowstream train mine.toml"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("action", required=False, type=click.Choice(["show"]))
@click.argument("name", required=False)
@json_option
def recipes(action: str | None, name: str | None, as_json: bool) -> None:
    """List the recipes that come with flowstream, or print one of them.

    `flowstream recipes show NAME` prints a recipe, which can be saved and changed.
    `flowstream train NAME` runs it unchanged.
    """
    from flowstream.recipes import recipe_names, recipe_path, recipe_title

    if action == "show":
        if name is None:
            raise click.UsageError(f"missing NAME; expected one of: {', '.join(recipe_names())}")
        click.echo(recipe_path(name).read_text(encoding="utf-8"), nl=False)
        return
    titles = {known: recipe_title(known) for known in recipe_names()}
    if as_json:
        click.echo(json.dumps(titles, indent=2))
        return
    width = max(map(len, titles)) + 2
    for known, title in titles.items():
        click.echo(wrap_on_terminal(f"{known:{width}}{title}", indent=width))
