"""The command line as tests use it: in this process, 80 columns wide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from flowstream.cli import main


def call(*arguments: str | Path) -> Result:
    """What a command line ends with."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, [str(word) for word in arguments])


def output(*arguments: str | Path) -> str:
    """What a command that succeeds prints as data."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def data(*arguments: str | Path) -> dict[str, Any]:
    """What it prints with `--json`."""
    found: dict[str, Any] = json.loads(output(*arguments, "--json"))
    return found


def refusal(code: int, *arguments: str | Path) -> str:
    """The one line that a refused command ends with."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert not isinstance(result.exception, Exception)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line
