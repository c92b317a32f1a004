"""Option types, and a command whose help lists its options in titled groups."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import click

from flowstream.errors import did_you_mean

if TYPE_CHECKING:
    from flowstream.types import Size


# Generic since click 8.2, so that older ones refuse an argument.
class FrameSize(click.ParamType):  # type: ignore[type-arg]
    """`WxH` on the command line, (rows, columns) inside."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        """Rows and columns of `340x256`, or a usage error."""
        if isinstance(value, tuple):
            return value
        width, _, height = str(value).lower().partition("x")
        if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            self.fail(f"got {value!r}, expected width x height, such as 340x256", param, ctx)
        return int(height), int(width)


class Folder(click.Path):
    """A folder, where an empty text (an unset variable of a script) is not the current one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or a usage error."""
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


class NameIn(click.ParamType):  # type: ignore[type-arg]
    """A name in a table that is imported when a name is checked: help stays fast.

    Parameters
    ----------
    kind : str
        What the table holds, for messages.
    table : "module:object"
    """

    name = "name"

    def __init__(self, kind: str, table: str) -> None:
        self.kind = kind
        self.table = table

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself, or a usage error that gives the known names."""
        module, _, attribute = self.table.partition(":")
        known: Collection[str] = getattr(importlib.import_module(module), attribute)
        if value not in known:
            names = ", ".join(known)
            hint = did_you_mean(str(value), known)
            self.fail(f"unknown {self.kind} {value!r}; known: {names}.{hint}", param, ctx)
        return str(value)


class GroupedOption(click.Option):
    """An option that stands under the title `group` in its command's help."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its options by group, and then an example.

    Parameters
    ----------
    example : str
        Command lines, shown as they are.
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each group of options under its title, in order of definition."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                groups.setdefault(getattr(param, "group", "Options"), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"  {line}\n")
