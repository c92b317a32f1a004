"""Command `flowstream`: each verb is a module that is imported when the verb runs.

Only this module converts errors to one line and an exit code: 0 success, 1 an error that flowstream
raises on purpose, 2 wrong usage, 130 interrupted, 143 stopped by SIGTERM (128 + number).
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
from flowstream.errors import FlowstreamError, did_you_mean
from flowstream.escapes import escape_controls
from flowstream.interrupts import Stop, stop_once

GROUPS = {
    "Flow": {
        "plan": ("flowstream.cli.plan:plan", "Estimate time and disk space of an extraction."),
        "extract": ("flowstream.cli.extract:extract", "Compute the flow stacks of videos."),
        "status": ("flowstream.cli.status:status", "Show the progress of an extraction."),
        "verify": ("flowstream.cli.verify:verify", "Check every byte of stacks."),
        "pack": ("flowstream.cli.pack:pack", "Combine many stacks into one file."),
        "unpack": ("flowstream.cli.pack:unpack", "Extract the stacks from a pack."),
        "convert": ("flowstream.cli.convert:convert", "Convert stacks to and from other formats."),
    },
    "Look": {
        "info": ("flowstream.cli.info:info", "Print the kind, facts and origin of a file."),
        "stats": ("flowstream.cli.stats:stats", "Summarise the motion in stacks."),
        "show": ("flowstream.cli.show:show", "Draw flow as image, video, sheet or text."),
        "view": ("flowstream.cli.view:view", "Write HTML pages that show flow."),
        "compare": ("flowstream.cli.compare:compare", "Compare flow methods or two fields."),
        "quality": ("flowstream.cli.quality:quality", "Check flow quality without ground truth."),
    },
    "Train": {
        "train": ("flowstream.cli.train:train", "Train, evaluate and fuse streams of a recipe."),
        "evaluate": ("flowstream.cli.evaluate:evaluate", "Score trained runs with any protocol."),
        "fuse": ("flowstream.cli.fuse:fuse", "Fuse score files and show the weight curve."),
        "predict": ("flowstream.cli.predict:predict", "Predict the classes of new videos."),
        "export": ("flowstream.cli.export:export", "Export a trained network to ONNX or torch."),
        "report": ("flowstream.cli.report:report", "Write a page that compares runs."),
        "runs": ("flowstream.cli.runs:runs", "List the runs below a directory."),
        "recipes": ("flowstream.cli.recipes:recipes", "List the included recipes or print one."),
        "features": ("flowstream.cli.features:features", "Cache the features of a frozen CNN."),
    },
    "Reference": {
        "list": (
            "flowstream.cli.tables:list_command",
            "List methods, models and other plug-ins.",
        ),
        "describe": ("flowstream.cli.describe:describe", "Print a model layer by layer."),
        "doctor": ("flowstream.cli.doctor:doctor", "Check what works on this machine."),
        "completion": ("flowstream.cli.completion:completion", "Print shell completion code."),
    },
}
"""Verbs by their group in `flowstream --help`."""

VERBS = {verb: entry for verbs in GROUPS.values() for verb, entry in verbs.items()}
"""Location (`"module:command"`) and summary of each verb."""

_SYSTEM_ERRORS = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EMFILE,
        errno.ENAMETOOLONG,
        errno.ENFILE,
        errno.ENODEV,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
        errno.EROFS,
        errno.ESTALE,
    }
)
"""Errors of disks, permissions and limits, which are never bugs of flowstream."""


_WRITE_ERRORS = frozenset({errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})
"""Errors that printing can raise, which name no file."""


class _Interrupted(Exception):
    """Replacement for KeyboardInterrupt, which click would handle itself."""


class Program(click.Command):
    """Command that converts every error to one line and an exit code."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run a command line and exit with its code."""
        _replace_closed_streams()
        with stop_once(ends_process=True) as stop:
            try:
                code = super().main(args, **{**extra, "standalone_mode": False})
                sys.stdout.flush()
            except BaseException as error:
                # An interrupted import may raise any error, so the signal decides.
                code = _report_stop(stop) if stop.number else _report(error)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command without the empty line that click prints for a signal."""
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
        """Return the command that the arguments name, or raise a usage error."""
        verb = args[0]
        if self.get_command(ctx, verb) is None and not verb.startswith("-"):
            ctx.fail(f"unknown verb {verb!r}.{did_you_mean(verb, VERBS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, and print the traceback of an error if -v is given."""
        try:
            return super().invoke(ctx)
        except (FlowstreamError, click.ClickException):
            if ctx.meta.get(VERBOSE):
                traceback.print_exc()
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs by group without importing them."""
        width = max(map(len, VERBS))
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{verb:{width}}", line) for verb, (_, line) in verbs.items()])


def _replace_closed_streams() -> None:
    """Discard what is written to standard streams that are closed, as by `>&-` or a daemon.

    Otherwise the next file that is opened becomes standard output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The system gives the lowest free number, which is that of the stream.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _report(error: BaseException) -> int | str | None:
    """Print an error in one line and return the exit code; re-raise a bug."""
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
        # The reader has exited, as in `flowstream ... | head`; flushing at exit would fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        if not where and error.errno in _WRITE_ERRORS:
            where = "cannot write the output: "
        return _report_error(f"{where}{error.strerror}", 1)
    if isinstance(error, MemoryError):
        return _report_error("out of memory; use smaller batches or fewer workers (--jobs)", 1)
    raise error


def _report_stop(stop: Stop) -> int:
    is_interrupt = stop.number == signal.SIGINT
    name = "interrupted" if is_interrupt else f"stopped by {signal.Signals(stop.number).name}"
    return _report_error(f"{name}; run the same command again to continue", stop.exit_code)


def _report_error(message: str, code: int) -> int:
    """Print an error in one line, and each line of its list with two leading spaces."""
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
    """Compute optical flow of video datasets and train two-stream networks on it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
