"""`flowstream convert`: stacks to and from the layouts and files of other tools."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstream.cli.options import (
    Directory,
    GroupedCommand,
    NameIn,
    json_option,
    progress_is_wanted,
)
from flowstream.cli.paths import expand, members, name_below, paths_argument
from flowstream.disk import fixed_part
from flowstream.errors import ConversionError, ParameterError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.convert.batch import Outcome, RawReading
    from flowstream.convert.sources import Source


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
    help="Displacement in pixels of the codes 0 and 255 of raw frames; needed "
    "unless 'convert' has written them.",
)
@click.option("--fps", type=float, help="Frames per second of raw frames, if known.")
@click.option("--overwrite", is_flag=True, help="Convert again what is already converted.")
@json_option
def convert(
    paths: tuple[Path, ...],
    target: str,
    out: Path,
    settings: tuple[str, ...],
    bound: float | None,
    fps: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Convert stacks to other formats, or raw frames to stacks, without estimating flow again.

    PATH is a stack, a directory of stacks or a pattern. It can also be a directory of raw frames
    (img_00001.jpg, flow_x_00001.jpg, flow_y_00001.jpg, or x_00001.jpg, y_00001.jpg) or a directory
    of such directories; these are converted to stacks. The layout of directories is kept.
    'rawframes' also writes annotation lists of mmaction2 and TSN, with the parent directories as
    classes. Its JPEG images change the flow by up to about 1 pixel at bound 20, PNG images
    (--set image=png) by half a step, 0.08 pixels.

    Complete outputs that are not older than their source are kept, so the same command continues
    a run that was stopped, and lists cover all videos in --out.
    """
    from flowstream.convert import FORMATS
    from flowstream.convert.batch import Conversion
    from flowstream.recipe import from_settings

    form = from_settings(FORMATS[target], settings, where=f"format {target!r}")
    sources = list(_find_sources(paths, out))
    reading = _check_reading(sources, bound, fps)
    conversion = Conversion(form, out, reading=reading, overwrite=overwrite)
    wanted = progress_is_wanted() and not as_json
    with Progress(len(sources), title="convert", unit="video", enabled=wanted, keep=False) as shown:
        # failures are written also with -q and --json
        say = shown.say if wanted else lambda line: click.echo(line, err=True)
        outcome = conversion.run(
            sources, say=lambda line: say(escape_controls(line)), advance=shown.update
        )
    _print(outcome, as_json=as_json)
    if outcome.failed:
        raise ConversionError(f"{outcome.failed} of {len(sources)} could not be converted")


def _print(outcome: Outcome, *, as_json: bool) -> None:
    written = outcome.written + outcome.lists
    if as_json:
        record = {
            "written": [str(path) for path in written],
            "kept": [str(path) for path in outcome.kept],
            "failed": outcome.failed,
        }
        click.echo(json.dumps(record))
        return
    for path in written:
        click.echo(escape_controls(str(path)))
    if outcome.kept and progress_is_wanted():
        click.echo(
            f"{len(outcome.written)} written, {len(outcome.kept)} kept (--overwrite converts them "
            "again)",
            err=True,
        )


def _check_reading(
    sources: Iterable[Source], bound: float | None, fps: float | None
) -> RawReading | None:
    """Return the values for raw frames; refuse them if they have no effect."""
    from flowstream.convert.batch import RawReading

    if not any(source.is_raw for source in sources):
        for name, value in (("bound", bound), ("fps", fps)):
            if value is not None:
                hint = " Use --set bound=... for rawframes or a codec." if name == "bound" else ""
                raise click.UsageError(
                    f"--{name}: has no effect, because no raw frames are converted.{hint}"
                )
        return None
    bound = _check_bound([source.path for source in sources if source.is_raw], bound)
    try:
        return RawReading(bound, fps or 0.0)
    except ParameterError as error:
        raise click.UsageError(f"--bound or --fps: {error}") from error


def _check_bound(directories: Iterable[Path], given: float | None) -> float:
    """Return the bound of raw frames: as given, or as `convert` recorded it beside them."""
    from flowstream.convert.raw_import import recorded_bound

    bound = given
    # directories with the same parent have the same bound
    for directory in {one.parent: one for one in directories}.values():
        found = recorded_bound(directory)
        if found is None:
            if given is None:
                raise click.UsageError(
                    f"--bound: missing; {directory}: raw frames do not store it (TSN and "
                    "mmaction2: 20, denseflow: 32)."
                )
            continue
        if bound not in (None, found[0]):
            seen = "given" if given is not None else "recorded for the directories before it"
            raise click.UsageError(
                f"--bound: {directory} has {found[0]:g}, as {found[1]} says; {bound:g} was {seen}."
            )
        bound = found[0]
    assert bound is not None
    return bound


def _find_sources(paths: Iterable[Path], out: Path) -> Iterator[Source]:
    """Yield what is converted, each once; outputs have names below a directory or a pattern."""
    from flowstream.convert.sources import Source

    seen: set[tuple[Path, str]] = set()
    for path in paths:
        for match in expand([path]):
            for source in _search(match, out) if match.is_dir() else _in_file(match):
                name = _name(source, match, path).as_posix()
                if (source.path, name) not in seen:
                    seen.add((source.path, name))
                    yield Source(source.path, name, source.is_raw)


def _name(source: Source, match: Path, path: Path) -> Path:
    """Return the name of a source in `match`: below the fixed part of `path` if it is a pattern."""
    if match == path:
        return Path(source.name)
    place = Path(os.path.relpath(match, fixed_part(path)))
    if not match.is_dir():
        place = place.with_suffix("")
    return place if source.path == match else place / source.name


def _in_file(path: Path) -> Iterator[Source]:
    """Yield a stack, or the stacks in a pack."""
    from flowstream.convert.sources import Source

    for stack in members(path):
        yield Source(stack, str(name_below(stack, path).with_suffix("")))


def _search(directory: Path, out: Path) -> Iterator[Source]:
    """Yield the stacks and directories of raw frames in a directory."""
    from flowstream.convert.sources import Source, search

    # outputs of an earlier run into a directory below the sources are no sources
    inside = os.path.realpath(out).startswith(os.path.realpath(directory) + os.sep)
    contents = search(directory, skip=out if inside else None)
    if not contents.stacks and not contents.raw:
        raise ParameterError(
            f"{directory}: no stacks (*.h5) and no raw frames (x_00001.jpg, y_00001.jpg); "
            f"{contents.describe()}"
        )
    for raw in contents.raw:
        own = Path(os.path.abspath(directory)).name
        yield Source(raw, own if raw == directory else os.path.relpath(raw, directory), True)
    for file in contents.stacks:
        for stack in members(file):
            yield Source(stack, str(stack.relative_to(directory).with_suffix("")))
