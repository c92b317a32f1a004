"""Command `flowstream quality`: check flow quality without ground truth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.clips import estimate_options
from flowstream.cli.flow_options import read_flow, usage_errors
from flowstream.cli.options import GroupedCommand, options_of, progress_is_wanted
from flowstream.cli.paths import distinct_names, find_inputs, is_stack, paths_argument
from flowstream.cli.text import format_table, paint, wrap_text
from flowstream.errors import FlowstreamError, ParameterError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.flow import FlowMethod
    from flowstream.video import Sampling
    from flowstream.view.quality import FieldQuality, Quality
    from flowstream.view.verdict import Verdict

EXAMPLE = """\
flowstream quality stacks/
flowstream quality stacks/clip.h5 --per-frame
flowstream quality clip.mp4 --method dis --short-side 256 --limit 100"""

_COLOURS = {"good": "green", "check": "yellow", "bad": "red"}

_output = options_of("Output")


@dataclasses.dataclass(frozen=True)
class _Source:
    """Video or stack to check; values that only a stack records are None for a video."""

    method: str
    fields: Iterator[FieldQuality]
    total: int | None = None
    below_step: float | None = None
    warning: str | None = None


@dataclasses.dataclass(frozen=True)
class _Result:
    path: Path
    source: _Source
    summary: Quality
    verdict: Verdict
    fields: tuple[FieldQuality, ...]


@click.command(cls=GroupedCommand, example=EXAMPLE)
@paths_argument("PATH")
@estimate_options
@_output(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Check only the first N fields of each video or stack.",
)
@_output("--per-frame", is_flag=True, help="Print one line per field.")
@_output("--json", "as_json", is_flag=True, help="Print JSON.")
def quality(
    paths: tuple[Path, ...], limit: int | None, per_frame: bool, as_json: bool, **options: Any
) -> None:
    """Check flow quality without ground truth.

    The checks warp frames and compare forward with backward flow.

    PATH is a stack, a video or a directory of these. The flow of a video is estimated and not
    stored. Several inputs are printed as one row each, the worst first.

    'error' is the mean difference of luma between a frame and the next frame warped to it, in grey
    levels; 'unmoved' is the same without warping. Both are computed over the pixels whose flow ends
    'inside' the frame. 'consistent' is the fraction of the pixels that the backward flow maps back.
    'clipped' is the fraction of the vectors at the bound of the codec (20 px for a video).
    'textured' is the fraction of the pixels with a gradient of at least 2 levels per pixel; in flat
    areas, a small error proves nothing. Measures that need frames or backward flow are skipped if a
    stack has none. The two worst fields are listed, which may be cuts between scenes; to see them,
    run 'flowstream show STACK --at FIELD'.
    """
    found = find_inputs(paths)
    flow = _read_flow(found, options)
    results: list[_Result] = []
    failures = 0
    for path in found:
        try:
            results.append(_check(path, flow, limit=limit, keep=per_frame))
        except FlowstreamError as error:
            failures += 1
            click.echo(f"failed: {escape_controls(str(error))}", err=True)
    if as_json:
        click.echo(json.dumps({"sources": list(map(_as_data, results))}, indent=2))
    elif len(found) > 1 and not per_frame:
        click.echo(_table(results)) if results else None
    else:
        click.echo("\n\n".join(map(_block, results))) if results else None
        for result in results:
            if result.source.warning:
                click.echo(escape_controls(f"{result.path}: {result.source.warning}"), err=True)
    if failures:
        raise ParameterError(f"{failures} of {len(found)} inputs could not be checked")


def _read_flow(found: list[Path], options: Mapping[str, Any]) -> tuple[FlowMethod, Sampling] | None:
    """Return the method and sampling for videos, or None if all inputs are stacks."""
    if not all(map(is_stack, found)):
        with usage_errors():
            return read_flow({**options, "method": options["method"] or "tvl1"})
    for name, value in options.items():
        if value not in (None, (), False):
            option = "set" if name == "settings" else name.replace("_", "-")
            raise click.UsageError(f"--{option} is for videos, but all inputs are stacks.")
    return None


def _check(
    path: Path, flow: tuple[FlowMethod, Sampling] | None, *, limit: int | None, keep: bool
) -> _Result:
    from flowstream.view.quality import QualityCounter
    from flowstream.view.verdict import judge

    counter, fields = QualityCounter(), []
    with (
        _open(path, flow) as source,
        Progress(
            source.total, title=path.name, unit="field", enabled=progress_is_wanted(), keep=False
        ) as bar,
    ):
        for field in islice(source.fields, limit):
            counter.add(field)
            if keep:
                fields.append(field)
            bar.update()
    summary = counter.summary()
    verdict = judge(summary, below_step=source.below_step or 0.0)
    return _Result(path, source, summary, verdict, tuple(fields))


@contextmanager
def _open(path: Path, flow: tuple[FlowMethod, Sampling] | None) -> Iterator[_Source]:
    from flowstream.codec import below_step_warning
    from flowstream.codec.centred8 import Centred8
    from flowstream.store import open_stack
    from flowstream.view.quality import stack_quality, video_quality

    if flow is None or is_stack(path):
        with open_stack(path) as stack:
            yield _Source(
                method=str(stack.method["name"]),
                fields=stack_quality(stack),
                total=stack.num_fields,
                below_step=stack.below_step,
                warning=below_step_warning(stack.codec, stack.below_step),
            )
    else:
        method, sampling = flow
        fields = video_quality(path, method, sampling=sampling, codec=Centred8())
        yield _Source(method=method.name, fields=fields)


def _as_data(result: _Result) -> dict[str, Any]:
    from flowstream.view.quality import as_record

    frames = {"frames": list(map(dataclasses.asdict, result.fields))} if result.fields else {}
    return {
        "path": str(result.path),
        "method": result.source.method,
        "verdict": result.verdict.level,
        "reason": result.verdict.reason,
        **as_record(result.summary),
        "below_step": result.source.below_step,
        **frames,
    }


def _table(results: list[_Result]) -> str:
    """Format a table with one row per input, the worst first."""
    names = dict(
        zip(
            (result.path for result in results),
            distinct_names(result.path for result in results),
            strict=True,
        )
    )
    ordered = sorted(
        results, key=lambda result: (result.verdict.order, -_compute_error_ratio(result))
    )
    rows = []
    for result in ordered:
        summary = result.summary
        shares = (summary.inside, summary.consistent, summary.clipped, summary.textured)
        numbers = [
            *(
                "–" if value is None else f"{value:.2f}"
                for value in (summary.error, summary.unmoved)
            ),
            *("–" if value is None else f"{100 * value:.1f}" for value in shares),
        ]
        rows.append([names[result.path], result.verdict.level, *numbers, result.verdict.reason])
    head = [
        ["input", "verdict", "error", "unmoved", "inside", "consistent", "clipped", "textured", ""],
        ["", "", "levels", "levels", "%", "%", "%", "%", ""],
    ]
    # format_table aligns the last column to the right, but the reason is text
    width = max(len(row[-1]) for row in rows)
    rows = [[*row[:-1], row[-1].ljust(width)] for row in rows]
    styles = [{"fg": _COLOURS[result.verdict.level]} for result in ordered]
    return format_table(rows, head=head, left=2, styles=styles)


def _compute_error_ratio(result: _Result) -> float:
    summary = result.summary
    if summary.error is None or not summary.unmoved:
        return 0.0
    return summary.error / summary.unmoved


def _block(result: _Result) -> str:
    """Format the summary of one input, and its fields if they were kept."""
    name = escape_controls(str(result.path))
    lines = [f"{paint(name, bold=True)}: flow by {result.source.method}"]
    return "\n".join([*lines, *map(_format_field, result.fields), _format_summary(result)])


def _format_field(field: FieldQuality) -> str:
    place = f"field {field.field} (frame {field.frame}, {field.time:.2f} s)"
    facts = [f"inside {field.inside:.1%}"]
    if field.error is not None:
        facts.insert(0, f"error {field.error:.2f}, unmoved {field.unmoved:.2f}")
    if field.consistent is not None:
        facts.append(f"consistent {field.consistent:.1%}")
    return f"{place}: {', '.join([*facts, f'clipped {field.clipped:.2%}'])}"


def _format_summary(result: _Result) -> str:
    summary, verdict = result.summary, result.verdict
    error = "unknown: the stack has no frames"
    if summary.error is not None:
        error = f"{summary.error:.2f} grey levels (unmoved: {summary.unmoved:.2f})"
    consistent = "unknown: the stack has no backward flow"
    if summary.consistent is not None:
        consistent = f"{summary.consistent:.1%}"
    level = paint(verdict.level, fg=_COLOURS[verdict.level])
    facts = {
        "verdict": level + (f": {verdict.reason}" if verdict.reason else ""),
        "fields": f"{summary.fields}",
        "error": error,
        "inside": f"{summary.inside:.1%}",
        "consistent": consistent,
        "clipped": f"{summary.clipped:.3%}",
    }
    if result.source.below_step is not None:
        facts["below step"] = f"{result.source.below_step:.1%}"
    if summary.textured is not None:
        facts["textured"] = f"{summary.textured:.1%}"
    lines = [f"{name:<12}{value}" for name, value in facts.items()]
    for number, field in enumerate(summary.worst):
        line = f"{'' if number else 'worst':<12}{_format_field(field)}"
        lines.append(wrap_text(line, indent=12))
    return "\n".join(lines)
