"""`flowstream doctor`: check what works on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from flowstream.cli.options import Directory, GroupedCommand, json_option
from flowstream.cli.text import wrap_on_terminal
from flowstream.errors import ExtractionError

EXAMPLE = """\
flowstream doctor
flowstream doctor --out stacks/ --json"""

_SIGNS = {"ok": "ok     ", "missing": "missing", "problem": "PROBLEM"}


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.option(
    "-o",
    "--out",
    type=Directory(exists=True, file_okay=False, path_type=Path),
    default=".",
    metavar="DIR",
    help="Directory whose disk is checked.  [default: the working directory]",
)
@json_option
def doctor(out: Path, as_json: bool) -> None:
    """Check this installation: versions, methods, devices, disk and decoding speed.

    Each line is one check. Optional parts that are not installed are 'missing'. A line with PROBLEM
    gives the solution; the exit code is then 1.
    """
    from flowstream.extract.health import examine

    findings = []
    for finding in examine(out):
        findings.append(finding)
        if not as_json:
            line = f"{_SIGNS[finding.status]}  {finding.name:<22} {finding.text}"
            click.echo(wrap_on_terminal(line, indent=len(line) - len(finding.text)))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    problems = [finding.name for finding in findings if finding.status == "problem"]
    if problems:
        raise ExtractionError(f"problems with {', '.join(problems)}; see the lines above")
