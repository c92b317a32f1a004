"""Manners that every verb shares: names of options, help, suggestions, plain logs, completion."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flowstream.cli import VERBS, main
from tests.command_line import call, output, refusal
from tests.small_stack import make_stack

# Flags that one verb has and another needs under the same name.
SHORT = {"--out": "-o", "--help": "-h", "--verbose": "-v", "--quiet": "-q"}


def options(verb: str) -> list[click.Option]:
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    context = click.Context(command, help_option_names=["-h", "--help"])
    return [param for param in command.get_params(context) if isinstance(param, click.Option)]


@pytest.mark.parametrize("verb", VERBS)
def test_shared_options_have_the_same_short_name_everywhere(verb: str) -> None:
    found = {name: option.opts for option in options(verb) for name in option.opts}
    for name, short in SHORT.items():
        if name in found:
            assert short in found[name], f"{verb} {name}"
    assert {"--help", "--verbose", "--quiet"} <= set(found)


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_each_option_within_80_columns(verb: str) -> None:
    page = output(verb, "--help")
    assert max(map(len, page.partition("Example:")[0].splitlines())) <= 80
    for option in options(verb):
        assert option.hidden or option.help or option.name == "port", f"{verb} {option.name}"


@pytest.mark.parametrize("verb", VERBS)
def test_a_mistyped_verb_or_option_is_answered_with_the_right_one(verb: str) -> None:
    assert f"Did you mean '{verb}'?" in refusal(2, verb + verb[-1])
    assert "--quiet" in refusal(2, verb, "--quite")


@pytest.mark.parametrize(
    "words",
    [
        ("info",),
        ("stats",),
        ("stats", "--by-class"),
        ("quality",),
        ("verify",),
        ("compare",),
        ("show",),
        ("view", "-o", "pages"),
        ("convert", "--to", "npy", "-o", "arrays"),
    ],
    ids=" ".join,
)
def test_logs_have_no_bars_and_no_colours(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        make_stack(Path("stacks", "class", f"{name}.h5"))
    result = call(words[0], "stacks", *words[1:])
    assert result.exit_code == 0, result.output
    assert not {"\r", "\x1b"} & set(result.output)


@pytest.mark.parametrize("verb", ["stats", "quality", "compare"])
def test_tables_are_aligned(verb: str, tmp_path: Path) -> None:
    for name in ("short", "a_much_longer_name"):
        make_stack(tmp_path / f"{name}.h5")
    rows = [line for line in output(verb, tmp_path).splitlines() if ".h5" in line]
    ends = [{match.end() for match in re.finditer(r"\S+(?=  |$)", row)} for row in rows]
    # the names end in different columns, the numbers in the same ones
    assert len(ends) == 2
    assert len(ends[0] & ends[1]) >= 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_accept_the_code_and_complete_with_it(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    script.write_text(output("completion", shell))
    subprocess.run([program, "-n", script], check=True)
    if shell != "bash":
        return
    shim = tmp_path / "flowstream"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m flowstream "$@"\n')
    shim.chmod(0o755)
    typed = (
        f"source {script}; COMP_WORDS=(flowstream ext); COMP_CWORD=1; "
        "_flowstream_completion flowstream; echo ${COMPREPLY[@]}"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [program, "-c", typed], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout == "extract\n"
