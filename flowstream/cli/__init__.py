"""The `flowstream` command: one verb a module, imported when it is asked for.

Errors become one line and an exit code here, and only here: 0 all well, 1 what flowstream refuses
or could not do, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from flowstream import __version__
from flowstream.errors import FlowstreamError

VERBS = {
    "extract": ("flowstream.cli.extract:extract", "Make flow stacks of videos."),
    "info": ("flowstream.cli.look:info", "Say what a video, stack, checkpoint or score file is."),
    "stats": ("flowstream.cli.look:stats", "Sum up the motion in a stack."),
    "show": ("flowstream.cli.look:show", "Draw a flow field of a stack."),
    "quality": ("flowstream.cli.quality:quality", "Judge flow without knowing the truth."),
    "list": ("flowstream.cli.tables:list_command", "List methods, codecs or models."),
    "describe": ("flowstream.cli.describe:describe", "Print a model layer by layer."),
    "features": ("flowstream.cli.features:features", "Compute a frozen CNN's features once."),
    "train": ("flowstream.cli.train:train", "Train two streams by a recipe, and fuse them."),
    "recipes": ("flowstream.cli.recipes:recipes", "List the shipped recipes, or print one."),
}
"""Verb to the command that does it, and its line in `flowstream --help`."""


class Program(click.Command):
    """A command that ends in one line and an exit code whatever goes wrong."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run a command line, and exit with its code."""
        try:
            code = super().main(args, **{**extra, "standalone_mode": False})
            sys.stdout.flush()
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "flowstream"
            message = error.format_message().rstrip(".")
            code = _told(f"{message} (see '{path} --help')", error.exit_code)
        except click.ClickException as error:
            code = _told(error.format_message(), error.exit_code)
        except FlowstreamError as error:
            code = _told(str(error), 1)
        except (click.Abort, KeyboardInterrupt):
            code = _told("interrupted", 130)
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            # Nobody reads on, as in `flowstream ... | head`; nothing more may be flushed at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        sys.exit(code if isinstance(code, int) else 0)


class Verbs(Program, click.Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, imported now."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


def _told(message: str, code: int) -> int:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return code


@click.command("flowstream", cls=Verbs, invoke_without_command=True)
@click.version_option(__version__, prog_name="flowstream", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Dense optical flow of whole video data sets, and two-stream networks on it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
