"""`flowstream convert`: stacks to and from the layouts and files of other tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.options import (
    Directory,
    GroupedCommand,
    NameIn,
    json_option,
    progress_is_wanted,
)
from flowstream.cli.paths import find_stacks, name_below, paths_argument
from flowstream.errors import ConversionError, FlowstreamError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.convert import Format
    from flowstream.convert.annotations import Listed


@dataclass(frozen=True)
class _Source:
    """Stack or directory of raw frames, and its name relative to the given path."""

    path: Path
    name: str


@click.command(
    cls=GroupedCommand,
    example="flowstream convert stacks --to rawframes --out frames\n"
    "flowstream convert stacks --to stack --set compression=gzip --out plain\n"
    "flowstream convert frames --to stack --bound 20 --out stacks",
)
@paths_argument("PATH")
@click.option(
    "--to",
    "target",
    required=True,
    type=NameIn("format", "flowstream.convert:FORMATS"),
    help="Format to write; 'flowstream list formats' describes them.",
)
@click.option(
    "-o", "--out", required=True, type=Directory(path_type=Path), help="Directory of the results."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a parameter of the format."
)
@click.option(
    "--bound",
    type=float,
    metavar="PIXELS",
    help="Displacement in pixels of the codes 0 and 255; required to read raw frames.",
)
@click.option("--fps", type=float, default=0.0, help="Frames per second of raw frames, if known.")
@json_option
def convert(
    paths: tuple[Path, ...],
    target: str,
    out: Path,
    settings: tuple[str, ...],
    bound: float | None,
    fps: float,
    as_json: bool,
) -> None:
    """Convert stacks to other formats, or raw frames to stacks, without estimating flow again.

    PATH is a stack, a directory of stacks or a pattern. It can also be a directory of raw frames
    (img_00001.jpg, flow_x_00001.jpg, flow_y_00001.jpg, or x_00001.jpg, y_00001.jpg) or a directory
    of such directories; these are converted to stacks. The layout of directories is kept.
    'rawframes' also writes annotation lists of mmaction2 and TSN, with the parent directories as
    classes.
    """
    from flowstream.convert import FORMATS
    from flowstream.recipe import from_settings

    form = from_settings(FORMATS[target], settings, where=f"format {target!r}")
    sources = list(_find_sources(paths))
    written: list[Path] = []
    listed: list[Listed] = []
    failures = 0
    wanted = progress_is_wanted() and not as_json
    with Progress(len(sources), title="convert", unit="video", enabled=wanted, keep=False) as shown:
        for source in sources:
            try:
                written.append(_convert(source, form, out, bound=bound, fps=fps, listed=listed))
            except FlowstreamError as error:
                failures += 1
                shown.say(f"failed: {error}")
            shown.update()
    if listed:
        from flowstream.convert.annotations import write_annotations

        written += write_annotations(listed, out)
    if as_json:
        click.echo(json.dumps({"written": [str(path) for path in written], "failed": failures}))
    else:
        click.echo("\n".join(escape_controls(str(path)) for path in written))
    if failures:
        raise ConversionError(f"{failures} of {len(sources)} could not be converted")


def _find_sources(paths: tuple[Path, ...]) -> Iterator[_Source]:
    from flowstream.convert.rawframes import find_raw_frames

    for path in paths:
        raw = list(find_raw_frames(path)) if path.is_dir() else []
        for name, directory in raw:
            yield _Source(directory, name)
        if raw:
            continue
        for stack in find_stacks([path]):
            yield _Source(stack, name_below(stack, path).with_suffix("").as_posix())


def _convert(
    source: _Source, form: Format, out: Path, *, listed: list[Listed], **reading: Any
) -> Path:
    target = out / source.name
    if source.path.is_dir():
        return _import(source, form, target, **reading)
    from flowstream.convert.annotations import Listed
    from flowstream.store import open_stack

    with open_stack(source.path) as stack:
        written = form.convert(stack, target)
        if form.name == "rawframes":
            listed.append(Listed(source.name, stack.num_frames, stack.num_fields))
    return written


def _import(
    source: _Source, form: Format, target: Path, *, bound: float | None, fps: float
) -> Path:
    from flowstream.convert.rawframes import read_raw_frames
    from flowstream.convert.stack import StackFormat

    if not isinstance(form, StackFormat) or form.codec is not None:
        raise ConversionError(
            f"{source.path}: raw frames are converted to stacks of codec linear8; expected "
            "--to stack without a codec. Convert the stacks in a second step"
        )
    if bound is None:
        raise click.UsageError(
            "--bound: missing; raw frames do not store it (TSN and mmaction2: 20, denseflow: 32)."
        )
    target = target.with_name(target.name + ".h5")
    compression = form.compression or "lz4hc"
    read_raw_frames(source.path, target, bound=bound, fps=fps, compression=compression)
    return target
