"""The `flowstream` command: each verb is a module that is imported when it runs.

Errors become one line and an exit code here, and only here: 0 success, 1 an error that flowstream
raises on purpose, 2 wrong usage, 130 interrupted, 143 stopped by SIGTERM.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from flowstream import __version__
from flowstream.cli.options import VERBOSE
from flowstream.cli.text import escape_controls
from flowstream.errors import FlowstreamError, did_you_mean
from flowstream.interrupts import Stop, stop_once

GROUPS = {
    "Flow": {
        "plan": ("flowstream.cli.plan:plan", "Forecast the time and disk space of an extraction."),
        "extract": ("flowstream.cli.extract:extract", "Estimate the flow of videos, as stacks."),
        "status": ("flowstream.cli.status:status", "Show how far an extraction is."),
        "verify": ("flowstream.cli.verify:verify", "Check stacks, every byte of them."),
        "pack": ("flowstream.cli.pack:pack", "Put many stacks into one file."),
        "unpack": ("flowstream.cli.pack:unpack", "Take the stacks out of a pack."),
        "convert": ("flowstream.cli.convert:convert", "Convert stacks to and from other formats."),
    },
    "Look": {
        "info": ("flowstream.cli.info:info", "Print what a file is and what made it."),
        "stats": ("flowstream.cli.stats:stats", "Summarise the motion in stacks."),
        "show": ("flowstream.cli.show:show", "Draw flow: picture, film, sheet or terminal."),
        "view": ("flowstream.cli.view:view", "Write pages to look at flow in a browser."),
        "compare": ("flowstream.cli.compare:compare", "Compare flow methods or two fields."),
        "quality": ("flowstream.cli.quality:quality", "Check flow quality without ground truth."),
    },
    "Train": {
        "train": ("flowstream.cli.train:train", "Train, evaluate and fuse streams by a recipe."),
        "evaluate": ("flowstream.cli.evaluate:evaluate", "Score trained runs by any protocol."),
        "fuse": ("flowstream.cli.fuse:fuse", "Fuse score files, and show the weight curve."),
        "predict": ("flowstream.cli.predict:predict", "Predict the classes of new videos."),
        "report": ("flowstream.cli.report:report", "Compare runs on a page, with clips."),
        "runs": ("flowstream.cli.runs:runs", "List the runs below a directory."),
        "recipes": ("flowstream.cli.recipes:recipes", "List the shipped recipes, or print one."),
        "features": ("flowstream.cli.features:features", "Compute a frozen CNN's features once."),
    },
    "Reference": {
        "list": ("flowstream.cli.tables:list_command", "List methods, codecs, models and fusions."),
        "describe": ("flowstream.cli.describe:describe", "Print a model layer by layer."),
        "doctor": ("flowstream.cli.doctor:doctor", "Check what works on this machine."),
        "completion": ("flowstream.cli.completion:completion", "Print shell completion code."),
    },
}
"""Verbs by the group that `flowstream --help` lists them under."""

VERBS = {verb: entry for verbs in GROUPS.values() for verb, entry in verbs.items()}
"""All verbs: `"module:command"` and the line in `flowstream --help`."""


class _Interrupted(Exception):
    """Interrupt on its way through click, which would handle a KeyboardInterrupt itself."""


class Program(click.Command):
    """Command that turns every error into one line and an exit code."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run a command line and exit with its code."""
        with stop_once() as stop:
            try:
                code = super().main(args, **{**extra, "standalone_mode": False})
                sys.stdout.flush()
            except BaseException as error:
                # An interrupted import may come as any error; what counts is the signal.
                code = _report_stop(stop) if stop.number else _report(error)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click would print an empty line for a signal."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _Interrupted from stop


class Verbs(Program, click.Group):
    """Group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of GROUPS."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a verb's command."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; an unknown verb is a usage error."""
        verb = args[0]
        if self.get_command(ctx, verb) is None and not verb.startswith("-"):
            ctx.fail(f"unknown verb {verb!r}.{did_you_mean(verb, VERBS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; with -v, print the traceback of an error before its line."""
        try:
            return super().invoke(ctx)
        except (FlowstreamError, click.ClickException):
            if ctx.meta.get(VERBOSE):
                traceback.print_exc()
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs by group without importing any."""
        width = max(map(len, VERBS))
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{verb:{width}}", line) for verb, (_, line) in verbs.items()])


def _report(error: BaseException) -> int | str | None:
    """Print an error in one line and return the exit code; raise what is a bug."""
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "flowstream"
        message = error.format_message().rstrip(".")
        return _report_error(f"{message} (see '{path} --help')", error.exit_code)
    if isinstance(error, click.ClickException):
        return _report_error(error.format_message(), error.exit_code)
    if isinstance(error, FlowstreamError):
        return _report_error(str(error), 1)
    if isinstance(error, click.Abort | _Interrupted):
        return _report_error("interrupted", 130)
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # The reader is gone, as in `flowstream ... | head`; nothing may be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    raise error


def _report_stop(stop: Stop) -> int:
    name = "interrupted" if stop.number == signal.SIGINT else "stopped by SIGTERM"
    return _report_error(f"{name}; run the same command again to continue", stop.exit_code)


def _report_error(message: str, code: int) -> int:
    """Print an error in one line; lines of a list below it begin with two spaces."""
    lines = [escape_controls(" ".join(line.split())) for line in message.split("\n  ")]
    click.echo("Error: " + "\n  ".join(lines), err=True)
    return code


@click.command(
    "flowstream",
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="flowstream", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Dense optical flow of whole video datasets, and two-stream networks trained on it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
