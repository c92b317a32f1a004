"""`flowstream status`: progress of an extraction, from its journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from flowstream.cli.options import Directory, GroupedCommand, SourcePath, json_option
from flowstream.escapes import escape_controls

EXAMPLE = """\
flowstream status stacks/
flowstream status stacks/ --failed
flowstream status stacks/ --source videos/"""

_SHOWN = 10


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument(
    "directory", metavar="DIR", type=Directory(exists=True, file_okay=False, path_type=Path)
)
@click.option("--failed", is_flag=True, help="List the videos that failed, with the reasons.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SOURCE",
    type=SourcePath(),
    help="Videos of the extraction, to count those that remain; may be given several times.",
)
@json_option
def status(
    directory: Path,
    failed: bool,
    sources: tuple[Path, ...],
    as_json: bool,
    **_: Any,
) -> None:
    """Show the progress of an extraction: done, failed by reason, remaining, speed, time left.

    DIR is the --out of 'flowstream extract'. The journals of running shards are included. Speed and
    time left are computed from the last hour.
    """
    from flowstream.extract.status import read_status

    found = read_status(directory, sources)
    if failed:
        _print_failed(found.failures, as_json=as_json)
        return
    if as_json:
        click.echo(json.dumps(found.record(), indent=2))
        return
    click.echo(found.describe())


def _print_failed(failures: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    from flowstream.extract.status import split_failure

    if as_json:
        click.echo(json.dumps(list(failures.values()), indent=2))
        return
    for record in failures.values():
        attempts = record.get("attempt", 1)
        times = f" (attempt {attempts})" if attempts > 1 else ""
        click.echo(escape_controls(f"{': '.join(split_failure(record))}{times}"))
    click.echo(f"{len(failures):,} videos failed", err=True)
