"""Options of all verbs that compute flow of videos, and the recipe that they fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.options import FrameSize, GroupedOption
from flowstream.errors import ParameterError, RecipeError

if TYPE_CHECKING:
    from flowstream.extract import ExtractRecipe
    from flowstream.flow import FlowMethod
    from flowstream.video import Sampling

_FRAMES: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--short-side",
        {
            "type": click.IntRange(min=1),
            "metavar": "N",
            "help": "Resize the shorter side to N pixels and keep the aspect ratio.",
        },
    ),
    ("--size", {"type": FrameSize(), "help": "Resize to this width and height."}),
    (
        "--fps",
        {
            "type": float,
            "metavar": "F",
            "help": "Resample to F frames per second, by time stamps.",
        },
    ),
    (
        "--step",
        {"type": click.IntRange(min=1), "metavar": "N", "help": "Use every N-th frame."},
    ),
    (
        "--stream",
        {
            "type": click.IntRange(min=0),
            "metavar": "N",
            "help": "Index of the video stream, as ffprobe counts.  [default: the default stream]",
        },
    ),
    (
        "--square-pixels",
        {"is_flag": True, "help": "Apply the sample aspect ratio: stretch the width."},
    ),
    (
        "--depth-range",
        {
            "metavar": "LO:HI",
            "help": "Map sample values above 8 bits: auto, full or LO:HI.  [default: auto]",
        },
    ),
)


def frame_options(group: str) -> Callable[[Any], Any]:
    """Return a decorator that adds the options of a `Sampling` to a command."""

    def add(command: Any) -> Any:
        # Decorators apply from the last to the first.
        for name, settings in reversed(_FRAMES):
            command = click.option(name, cls=GroupedOption, group=group, **settings)(command)
        return command

    return add


def read_recipe(options: Mapping[str, Any], *, sources: Iterable[Path] = ()) -> ExtractRecipe:
    """Build the `[extract]` recipe from options that have the names of its fields.

    `settings` are the values of `--set`, and `stabiliser_settings` those of `--stabilise-set`.
    Missing options have the defaults of the recipe.
    """
    from flowstream.extract import ExtractRecipe
    from flowstream.recipe import build, read_settings
    from flowstream.store import OUTPUTS

    names = {field.name for field in fields(ExtractRecipe)}
    values = {name: options[name] for name in names & options.keys() if options[name] is not None}
    parameters = read_settings(options.get("settings", ()), where="--set")
    if options.get("device"):
        parameters["device"] = options["device"]
    stabiliser = read_settings(options.get("stabiliser_settings", ()), where="--stabilise-set")
    outputs = tuple(name for name in OUTPUTS if options.get(name))
    values.update(
        sources=tuple(sources), parameters=parameters, stabiliser=stabiliser, outputs=outputs
    )
    return build(ExtractRecipe, values, where="extract")


def read_flow(options: Mapping[str, Any]) -> tuple[FlowMethod, Sampling]:
    """Build the flow method and the sampling that the options describe."""
    recipe = read_recipe(options)
    return recipe.build_method(), recipe.build_sampling()


@contextmanager
def usage_errors() -> Iterator[None]:
    """Convert errors of invalid values to usage errors."""
    try:
        yield
    except (ParameterError, RecipeError) as error:
        raise click.UsageError(str(error)) from error
