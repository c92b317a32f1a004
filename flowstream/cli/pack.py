"""`flowstream pack` and `unpack`: combine stacks into one file, and extract them from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from flowstream.cli.options import Directory, GroupedCommand
from flowstream.cli.paths import find_stacks, is_same_file, name_below, paths_argument
from flowstream.errors import StackError
from flowstream.escapes import escape_controls
from flowstream.locks import lock_directory

_overwrite = click.option("--overwrite", is_flag=True, help="Replace existing files.")


@click.command(cls=GroupedCommand, example="flowstream pack stacks --out stacks.h5")
@paths_argument("PATH")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Path of the new pack.",
)
@_overwrite
def pack(paths: tuple[Path, ...], out: Path, overwrite: bool) -> None:
    """Combine many stacks into one HDF5 file, which training reads like a directory of stacks.

    PATH is a stack, a directory, a pack or a pattern; names of stacks are relative to the directory
    or pack. Every verb accepts PACK as a directory of stacks, and PACK/NAME.h5 as a stack.
    """
    from flowstream.store import write_pack

    stacks: dict[str, Path] = {}
    for path in paths:
        for stack in find_stacks([path]):
            if is_same_file(out, stack):
                continue  # an older pack in one of the directories
            name = name_below(stack, path).as_posix()
            if stacks.get(name, stack) != stack:
                raise click.UsageError(
                    f"{stacks[name]} and {stack}: both would be {name} in the pack; pack a "
                    "directory that contains both, or rename one of them."
                )
            stacks[name] = stack
    _refuse_existing([out], overwrite=overwrite)
    write_pack(stacks, out)
    click.echo(f"{escape_controls(str(out))}: {len(stacks)} stack{'s' * (len(stacks) != 1)}")


@click.command(cls=GroupedCommand, example="flowstream unpack stacks.h5 --out stacks")
@click.argument("path", metavar="PACK", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--out", required=True, type=Directory(path_type=Path), help="Directory of the stacks."
)
@_overwrite
def unpack(path: Path, out: Path, overwrite: bool) -> None:
    """Write each stack of a pack to a separate file, identical to the packed file.

    The checksums of each stack are compared. Damaged stacks are not written, and the exit code is
    then 1.
    """
    from flowstream.store import read_members
    from flowstream.store.packing import unpack_stack

    names = read_members(path)
    failures = 0
    with lock_directory(out, StackError):
        _refuse_existing([out / name for name in names], overwrite=overwrite)
        for name in names:
            try:
                click.echo(escape_controls(str(unpack_stack(path, name, out))))
            except StackError as error:
                failures += 1
                click.echo(f"failed: {escape_controls(str(error))}", err=True)
    if failures:
        raise StackError(f"{failures} of {len(names)} stacks could not be unpacked")


def _refuse_existing(paths: Sequence[Path], *, overwrite: bool) -> None:
    existing = [] if overwrite else [path for path in paths if os.path.lexists(path)]
    if existing:
        more = f" and {len(existing) - 1} more files exist" if len(existing) > 1 else ": exists"
        raise click.UsageError(f"{existing[0]}{more}; use another --out, or --overwrite.")
