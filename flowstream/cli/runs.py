"""`flowstream runs`: list the runs below a directory."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from flowstream.cli.options import GroupedCommand, json_option
from flowstream.cli.text import format_table
from flowstream.escapes import escape_controls

EXAMPLE = """\
flowstream runs
flowstream runs runs/ --json"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument(
    "directory",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@json_option
def runs(directory: Path, as_json: bool) -> None:
    """List the runs below DIRECTORY with epochs and test accuracy of each stream, latest first."""
    from flowstream.stages.runs import list_runs

    found = list_runs(directory)
    if as_json:
        data = [
            {
                "path": str(run.path),
                "streams": list(run.streams),
                "epochs": run.epochs,
                "top1": run.top1,
                "modified": run.modified,
            }
            for run in found
        ]
        click.echo(json.dumps(data, indent=2))
        return
    if not found:
        click.echo(f"{escape_controls(str(directory))}: no runs")
        return
    rows = [
        [
            str(run.path),
            ", ".join(f"{name} {epochs}" for name, epochs in run.epochs.items()),
            ", ".join(f"{name} {value:.3f}" for name, value in run.top1.items()) or "-",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(run.modified)),
        ]
        for run in found
    ]
    click.echo(format_table(rows, head=[["run", "epochs", "test top-1", "last change"]], left=4))
