"""`flowstream pack` and `unpack`: combine stacks into one file, and extract them from it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from flowstream.cli.options import Directory, GroupedCommand
from flowstream.cli.paths import find_stacks, paths_argument
from flowstream.escapes import escape_controls


@click.command(cls=GroupedCommand, example="flowstream pack stacks --out stacks.h5")
@paths_argument("PATH")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Path of the new pack.",
)
def pack(paths: tuple[Path, ...], out: Path) -> None:
    """Combine many stacks into one HDF5 file, which training reads like a directory of stacks.

    PATH is a stack, a directory or a pattern; names of stacks are relative to the directory. Every
    verb accepts PACK/NAME.h5 as the path of a stack in the pack.
    """
    from flowstream.store import write_pack

    stacks = {}
    for path in paths:
        for stack in find_stacks([path]):
            inside = Path(os.path.relpath(stack, path)) if path.is_dir() else Path(stack.name)
            if inside.as_posix() in stacks:
                raise click.UsageError(f"{stack}: another stack has the same name.")
            stacks[inside.as_posix()] = stack
    write_pack(stacks, out)
    click.echo(f"{out}: {len(stacks)} stacks")


@click.command(cls=GroupedCommand, example="flowstream unpack stacks.h5 --out stacks")
@click.argument("path", metavar="PACK", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=Directory(path_type=Path), help="Directory of the stacks."
)
def unpack(path: Path, out: Path) -> None:
    """Write each stack of a pack to a separate file, identical to the packed file."""
    from flowstream.store import unpack as unpack_stacks

    for written in unpack_stacks(path, out):
        click.echo(escape_controls(str(written)))
