"""The `flowstream` command as a whole: its help, and how every verb reports errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from flowstream.cli import VERBS, Verbs, main
from flowstream.errors import VideoError


def flowstream(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_help_lists_every_verb_and_is_shown_without_a_verb() -> None:
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


def test_an_unknown_verb_is_a_usage_error_that_names_the_nearest() -> None:
    result = flowstream("extrakt")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "unknown verb 'extrakt'" in result.stderr
    assert "Did you mean 'extract'?" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_short_help_an_example_and_verbosity(verb: str) -> None:
    page = flowstream(verb, "-h").stdout
    assert page == flowstream(verb, "--help").stdout
    assert "\nExample:\n  flowstream " in page
    assert "-v, --verbose" in page
    assert "-q, --quiet" in page


def test_the_package_runs_as_a_module_and_quickly() -> None:
    command = [sys.executable, "-m", "flowstream", "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == flowstream("--version").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_code_asks_the_program(shell: str) -> None:
    code = flowstream("completion", shell).stdout
    assert "_FLOWSTREAM_COMPLETE" in code


def test_completion_offers_verbs_and_names() -> None:
    def completed(words: str) -> str:
        environment = {
            "_FLOWSTREAM_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        return CliRunner(env=environment).invoke(main, [], prog_name="flowstream").stdout

    assert "plain,extract" in completed("flowstream ext")
    assert "plain,farneback" in completed("flowstream extract --method far")


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
    assert reporting(KeyboardInterrupt()).exit_code == 130


def test_a_list_below_an_error_keeps_its_lines() -> None:
    result = reporting(VideoError("clip.mp4: differs:\n  fps: 25\n  size:\x1b[31m 3x4"))
    assert result.output == "Error: clip.mp4: differs:\n  fps: 25\n  size:\\x1b[31m 3x4\n"


def test_verbose_prints_the_traceback_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"no stack")
    result = flowstream("info", "-v", str(tmp_path / "bad.h5"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_a_bug_keeps_its_traceback() -> None:
    result = reporting(ZeroDivisionError())
    assert isinstance(result.exception, ZeroDivisionError)


def test_closed_standard_streams_are_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):  # as after `>&-`
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    sys.stdout.close()
    sys.stderr.close()
    sys.stdin.close()
    assert ended.value.code == 0
