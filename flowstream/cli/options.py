"""Option types, and the command class of all verbs: titled groups, an example, -h, -v and -q.

rich-click was tried in its place. It draws boxes that a pipe or a narrow terminal breaks, and it
brings rich, pygments and markdown-it to replace the thirty lines of `GroupedCommand`.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from flowstream.disk import is_pattern, match_pattern
from flowstream.errors import did_you_mean

if TYPE_CHECKING:
    from flowstream.types import Size


# Generic since click 8.2; older versions refuse a type argument.
class FrameSize(click.ParamType):  # type: ignore[type-arg]
    """Frame size: `WxH` on the command line, (rows, columns) in Python."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        """Return (rows, columns) of `340x256`; anything else is a usage error."""
        if isinstance(value, tuple):
            return value
        width, _, height = str(value).lower().partition("x")
        if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            self.fail(f"got {value!r}, expected width x height, such as 340x256", param, ctx)
        return int(height), int(width)


class Directory(click.Path):
    """Path of a directory; an empty string (an unset variable of a script) is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; an empty string is a usage error."""
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


class SourcePath(click.Path):
    """Existing path, or a pattern that matches at least one."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; one that does not exist is a usage error."""
        if is_pattern(value) and not os.path.lexists(value):
            if next(match_pattern(value), None) is None:
                self.fail(f"{value}: no file matches", param, ctx)
            return Path(value)
        return super().convert(value, param, ctx)


class NameIn(click.ParamType):  # type: ignore[type-arg]
    """Name in a table that is imported only when a name is checked, so that help stays fast.

    Parameters
    ----------
    kind : str
        Singular noun for an entry of the table, for messages.
    table : "module:object"
    """

    name = "name"

    def __init__(self, kind: str, table: str) -> None:
        self.kind = kind
        self.table = table

    def names(self) -> Collection[str]:
        """Return the names of the table."""
        module, _, attribute = self.table.partition(":")
        known: Collection[str] = getattr(importlib.import_module(module), attribute)
        return known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; an unknown name is a usage error that lists the known ones."""
        known = self.names()
        if value not in known:
            names = ", ".join(known)
            hint = did_you_mean(str(value), known)
            self.fail(f"unknown {self.kind} {value!r}; known: {names}.{hint}", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that start with the typed text."""
        return [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]


class GroupedOption(click.Option):
    """Option that is listed under the title `group` in its command's help."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


Decorator = Callable[[Any], Any]


def options_of(group: str) -> Callable[..., Decorator]:
    """Return a function like `click.option`, for the options that are listed under one title."""
    return partial(click.option, cls=GroupedOption, group=group)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""Decorator that adds the option --json."""

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
"""Decorator that adds -q for a command that needs its value itself."""

recipe_settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Override a value of the recipe; may be given several times.",
)
"""Decorator that adds the option --set of commands that take a recipe."""


class GroupedCommand(click.Command):
    """Command whose help lists its options by group, followed by an example.

    Every command has `-v/--verbose` and `-q/--quiet`; a command that has a parameter `quiet`
    of its own keeps it.

    Parameters
    ----------
    example : str
        Command lines, shown unchanged.
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        taken = {param.name for param in self.params}
        self.params += [option for option in _verbosity() if option.name not in taken]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group of options under its title, in the order of definition."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                groups.setdefault(getattr(param, "group", "Options"), []).append(record)
        general = groups.pop("Options", [])
        for title, records in [*groups.items(), ("Options", general)]:
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"  {line}\n")


QUIET = "flowstream.quiet"
VERBOSE = "flowstream.verbose"


def _verbosity() -> list[click.Option]:
    """Return the options -v and -q, whose values are kept in the context."""

    def keep(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
        # the context of the verb and those above it share `meta`
        ctx.meta[VERBOSE if param.name == "verbose" else QUIET] = value
        if value and param.name == "verbose":
            logging.basicConfig(format="%(name)s: %(message)s")
            logging.getLogger("flowstream").setLevel(logging.DEBUG)
        return value

    return [
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=keep,
            help="Print log messages, and the traceback of an error.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=keep,
            help="Print no progress.",
        ),
    ]


def progress_is_wanted() -> bool:
    """Return True unless the running command was given -q."""
    context = click.get_current_context(silent=True)
    return context is None or not context.meta.get(QUIET, False)
