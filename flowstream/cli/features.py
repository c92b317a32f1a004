"""Command `flowstream features`: compute the features of a frozen CNN."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from flowstream.cli.options import GroupedCommand, json_option, quiet_option, recipe_settings

if TYPE_CHECKING:
    from flowstream.stages.features import KeptFeatures

EXAMPLE = """\
flowstream features recipe.toml
flowstream features recipe.toml spatial --set streams.spatial.frames=16 --json"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("recipe")
@click.argument("streams", nargs=-1, metavar="[STREAM]...")
@recipe_settings
@click.option("--no-extract", is_flag=True, help="Use only the existing stacks.")
@quiet_option
@json_option
def features(
    recipe: str,
    streams: tuple[str, ...],
    settings: tuple[str, ...],
    no_extract: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compute and cache the features of a frozen CNN, and measure the time that the cache saves.

    RECIPE is a recipe of `flowstream train`, which then uses the cached features. STREAM is a
    stream with model = "cnn_rnn", fixed_clips = true and cache_features = true; the default is all
    such streams. Missing stacks are extracted first.
    """
    from flowstream.recipe import load_recipe
    from flowstream.recipes import find_recipe
    from flowstream.stages import Recipe, extract_flow
    from flowstream.stages.features import caching_streams, keep_features

    loaded = load_recipe(find_recipe(recipe), Recipe, settings=settings)
    names = caching_streams(loaded, streams)
    loaded.check_networks()
    if not no_extract:
        extract_flow(loaded.extract, loaded.stack_directory, progress=not quiet)
    kept = [keep_features(loaded, name) for name in names]
    if as_json:
        click.echo(json.dumps([_plain(one) for one in kept], indent=2))
    else:
        click.echo("\n".join(map(describe, kept)))


def describe(kept: KeptFeatures) -> str:
    """Format the size of the stored features and the speed-up."""
    return (
        f"{kept.stream}: features of {kept.clips} clips, {kept.bytes / 1e6:.1f} MB, in "
        f"{kept.directory}; computed in {kept.seconds:.1f} s\n"
        f"  an epoch from clips {kept.epoch_from_clips:.2f} s, from features "
        f"{kept.epoch_from_features:.2f} s: {kept.speed_up:.1f} times as fast "
        f"({kept.steps} steps timed)"
    )


def _plain(kept: KeptFeatures) -> dict[str, object]:
    return {**asdict(kept), "directory": str(kept.directory), "speed_up": kept.speed_up}
