"""`flowstream completion`: code that completes verbs, options and names in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from flowstream.cli.options import GroupedCommand

EXAMPLE = """\
flowstream completion bash >> ~/.bashrc
flowstream completion zsh >> ~/.zshrc
flowstream completion fish > ~/.config/fish/completions/flowstream.fish"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the code that makes a shell complete flowstream's verbs, options and names.

    SHELL is bash (4.4 or newer), zsh or fish. Open a new shell after adding it.
    """
    root = ctx.find_root()
    complete = get_completion_class(shell)
    assert complete is not None, "click knows the three shells"
    click.echo(complete(root.command, {}, "flowstream", "_FLOWSTREAM_COMPLETE").source())
