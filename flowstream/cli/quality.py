"""`flowstream quality`: how good flow is where no truth is known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.flow_options import frame_options, read_flow, usage_errors
from flowstream.cli.options import GroupedCommand, GroupedOption, NameIn
from flowstream.cli.text import wrap_text
from flowstream.disk import open_regular
from flowstream.errors import FlowstreamError, ParameterError
from flowstream.progress import track

if TYPE_CHECKING:
    from flowstream.flow import FlowMethod
    from flowstream.report.quality import FieldQuality, Quality
    from flowstream.video import Sampling

_HDF5 = b"\x89HDF\r\n\x1a\n"

_videos = partial(click.option, cls=GroupedOption, group="Videos")
_output = partial(click.option, cls=GroupedOption, group="Output")


@click.command(
    cls=GroupedCommand,
    example="flowstream quality stacks/clip.h5\n"
    "flowstream quality clip.mp4 --method dis --short-side 256 --limit 100\n"
    "flowstream quality stacks/*.h5 --json",
)
@click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@_videos(
    "--method",
    type=NameIn("flow method", "flowstream.flow:METHODS"),
    help="How flow is estimated.  [default: tvl1]",
)
@_videos("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of the method.")
@_videos("--device", metavar="NAME", help="Where the method computes: auto, cpu, cuda, cuda:1.")
@frame_options("Videos")
@_output(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Judge only the first N fields of each.",
)
@_output("--per-frame", is_flag=True, help="A line for each field.")
@_output("--json", "as_json", is_flag=True, help="Print JSON.")
def quality(
    sources: tuple[Path, ...], limit: int | None, per_frame: bool, as_json: bool, **options: Any
) -> None:
    """Judge flow without a truth: does it carry each frame onto the next, and back?

    SOURCE is a stack of 'flowstream extract', or a video, whose flow is then estimated here and not
    kept.

    'error' is the mean difference of luma between a frame and the next one warped onto it, in grey
    levels, 'unmoved' that of the frames as they are, both of the pixels whose flow ends 'inside'
    the frame. 'consistent' is the share of the pixels that the backward flow returns, 'clipped'
    that of the vectors at the codec's bound (a video's: 20 px), 'textured' that of the pixels with
    a gradient of 2 levels a pixel or more: of flat ones a low error proves nothing. What a stack
    does not hold (frames, backward flow) is not judged. The two worst fields are named: look at
    them with 'flowstream show STACK --at FIELD'. A cut between scenes is one.
    """
    from flowstream.report.quality import QualityCounter, as_record

    asked = _asked(sources, options)
    records: list[dict[str, Any]] = []
    failures = 0
    for path in sources:
        counter, fields = QualityCounter(), []
        try:
            with _judged(path, asked) as (name, found):
                for field in track(islice(found, limit), title=path.name, unit="field"):
                    counter.add(field)
                    if per_frame:
                        fields.append(field)
        except FlowstreamError as error:
            failures += 1
            click.echo(f"failed: {error}", err=True)
            continue
        summary = counter.summary()
        frames = {"frames": list(map(dataclasses.asdict, fields))} if per_frame else {}
        records.append({"path": str(path), "method": name, **as_record(summary), **frames})
        if not as_json:
            lines = [f"{path}: flow by {name}", *map(_row, fields), _text(summary)]
            click.echo("\n".join(lines) + ("" if path == sources[-1] else "\n"))
            _warn_below_step(path)
    if as_json:
        click.echo(json.dumps({"sources": records}, indent=2))
    if failures:
        raise ParameterError(f"{failures} of {len(sources)} sources could not be judged")


def _warn_below_step(path: Path) -> None:
    """Print a warning if the codec of a stack stores much of the motion as zero."""
    from flowstream.codec import below_step_warning
    from flowstream.store import open_stack

    if _is_stack(path):
        with open_stack(path) as stack:
            warning = below_step_warning(stack.codec, stack.below_step)
        if warning:
            click.echo(f"{path}: {warning}", err=True)


def _asked(
    sources: tuple[Path, ...], options: dict[str, Any]
) -> tuple[FlowMethod, Sampling] | None:
    """The method and sampling of videos, if there are any; what does not fit is a usage error."""
    given = {name: value for name, value in options.items() if value not in (None, (), False)}
    if all(map(_is_stack, sources)):
        for name in given:
            option = "set" if name == "settings" else name.replace("_", "-")
            raise click.UsageError(f"--{option} is for videos; a stack's flow is made already.")
        return None
    with usage_errors():
        return read_flow(options)


def _is_stack(path: Path) -> bool:
    if path.is_dir():
        return False
    try:
        with open_regular(path) as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError as error:
        raise ParameterError(f"{path}: cannot read it: {error.strerror}") from error


@contextmanager
def _judged(
    path: Path, asked: tuple[FlowMethod, Sampling] | None
) -> Iterator[tuple[str, Iterator[FieldQuality]]]:
    """The name of the method, and the quality of each field as it is found."""
    from flowstream.codec.centred8 import Centred8
    from flowstream.report.quality import stack_quality, video_quality
    from flowstream.store import open_stack

    if asked is None or _is_stack(path):
        with open_stack(path) as stack:
            yield stack.method["name"], stack_quality(stack)
    else:
        method, sampling = asked
        yield method.name, video_quality(path, method, sampling=sampling, codec=Centred8())


def _row(field: FieldQuality) -> str:
    """A line that says all about a field."""
    place = f"field {field.field} (frame {field.frame}, {field.time:.2f} s)"
    return f"{place}: {', '.join(_facts(field))}"


def _facts(field: FieldQuality) -> Iterator[str]:
    if field.error is not None:
        yield f"error {field.error:.2f}, unmoved {field.unmoved:.2f}"
    yield f"inside {field.inside:.1%}"
    if field.consistent is not None:
        yield f"consistent {field.consistent:.1%}"
    yield f"clipped {field.clipped:.2%}"


def _text(summary: Quality) -> str:
    """The summary as names and values."""
    error = "unknown: there are no frames in it"
    if summary.error is not None:
        error = f"{summary.error:.2f} grey levels, {summary.unmoved:.2f} unmoved"
    consistent = "unknown: there is no backward flow in it"
    if summary.consistent is not None:
        consistent = f"{summary.consistent:.1%}"
    facts = {
        "fields": f"{summary.fields}",
        "error": error,
        "inside": f"{summary.inside:.1%}",
        "consistent": consistent,
        "clipped": f"{summary.clipped:.3%}",
    }
    if summary.textured is not None:
        facts["textured"] = f"{summary.textured:.1%}"
    lines = [f"{name:<12}{value}" for name, value in facts.items()]
    for number, field in enumerate(summary.worst):
        lines.append(wrap_text(f"{'' if number else 'worst':<12}{_row(field)}", indent=12))
    return "\n".join(lines)
