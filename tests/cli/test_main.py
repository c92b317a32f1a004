"""The `flowstream` command as a whole: its help, and how every verb reports errors."""

from __future__ import annotations

import subprocess
import sys

import click
from click.testing import CliRunner, Result

from flowstream.cli import VERBS, Verbs, main
from flowstream.errors import VideoError


def flowstream(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_help_lists_every_verb_and_stands_in_for_no_verb() -> None:
    page = flowstream("--help").stdout
    assert all(f"\n  {verb} " in page for verb in VERBS)
    assert flowstream().stdout == page


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from flowstream.cli import main\n"
        "for arguments in (['--help'], ['extract', '--help']):\n"
        "    try: main(arguments)\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'cv2', 'numba', 'h5py', 'av', 'joblib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_the_version_is_one_line() -> None:
    assert flowstream("--version").stdout.startswith("flowstream 0.")


def test_an_unknown_verb_is_a_usage_error() -> None:
    result = flowstream("extrakt")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: No such command 'extrakt' (see 'flowstream --help')\n"


def reporting(error: BaseException) -> Result:
    """What the command line makes of an error in a verb."""

    @click.command()
    def failing() -> None:
        raise error

    class Failing(Verbs):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return failing

    return CliRunner().invoke(Failing("flowstream"), ["extract"])


def test_errors_become_one_line_in_one_place() -> None:
    result = reporting(VideoError("clip.mp4: no\n video"))
    assert (result.exit_code, result.output) == (1, "Error: clip.mp4: no video\n")
    result = reporting(KeyboardInterrupt())
    assert (result.exit_code, result.output.strip()) == (130, "Error: interrupted")


def test_a_bug_keeps_its_traceback() -> None:
    result = reporting(ZeroDivisionError())
    assert isinstance(result.exception, ZeroDivisionError)
