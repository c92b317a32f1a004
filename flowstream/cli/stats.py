"""`flowstream stats`: summarise the motion in stacks as tables, sparklines, a plot or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.options import GroupedCommand, options_of, progress_is_wanted
from flowstream.cli.paths import distinct_names, find_stacks, paths_argument
from flowstream.cli.text import format_row, format_table, paint, sparkline, terminal_columns
from flowstream.errors import StackError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.view.motion import MotionCounter

EXAMPLE = """\
flowstream stats stacks/
flowstream stats stacks/clip.h5 --per-frame
flowstream stats stacks/ --by-class
flowstream stats stacks/ --csv > motion.csv"""

_SPEEDS = ("mean", "p50", "p95", "p99", "max")
_QUANTILES = dict.fromkeys(("mean", "p50", "p95", "max"), "px/frame")
_FRACTIONS = {"still": "%", "clipped": "%"}
_ROW = {"fields": "", **_QUANTILES, "camera": "px/frame", **_FRACTIONS, "below step": "%"}
_MEAN = {"mean dx": "px/frame", "mean dy": "px/frame"}
_FIELD = {"field": "", "frame": "", "time": "s", **_QUANTILES, **_MEAN, **_FRACTIONS}
_SPARKS = 16

_shape = options_of("Rows")
_output = options_of("Output")


@dataclass
class _Row:
    """Motion of a stack: its record, its counter, and the mean speed of each field."""

    record: dict[str, Any]
    counter: MotionCounter
    speeds: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@click.command(cls=GroupedCommand, example=EXAMPLE)
@paths_argument("STACK")
@_shape("--per-frame", is_flag=True, help="One row per field.")
@_shape("--by-class", is_flag=True, help="One row per class, which is the directory of a stack.")
@_output("--csv", "as_csv", is_flag=True, help="Print CSV: one row per video, for R or pandas.")
@_output("--json", "as_json", is_flag=True, help="Print JSON, also with pixels per second.")
@_output(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the speed over time (.png, .svg or .pdf).",
)
def stats(paths: tuple[Path, ...], **options: Any) -> None:
    """Summarise the motion in stacks: speeds, direction, stillness, losses.

    STACK is a stack, a directory or a pattern. Speeds are in pixels per frame step. p95 is the 95th
    percentile of the speed, precise to 1/128 px; max is exact. 'camera' is the length of the median
    vector (over every 4th pixel of every 4th row), which is the motion of the camera if most of the
    frame is background. 'still' is the fraction of the vectors slower than 0.1 px. 'clipped' is the
    fraction of the vectors at the codec's bound; if it is above 2 %, extract with a larger --bound.
    'below step' is the fraction of the moving vectors that the codec stores as zero; if it is above
    20 %, use --codec fixed16.
    Memory does not grow with the size of the stacks.
    """
    found = find_stacks(paths)
    names = distinct_names(found)
    in_rows = len(found) > 1 and not options["per_frame"] and not options["by_class"]
    widths = [max(map(len, names)), *(max(len(name), len(unit)) for name, unit in _ROW.items())]
    room = terminal_columns()
    fits = room is None or sum(widths) + 2 * len(widths) + _SPARKS <= room
    # rows are printed while the stacks are read, unless a narrow terminal needs several blocks
    streams = in_rows and fits and not (options["as_json"] or options["as_csv"])
    rows: dict[Path, _Row] = {}
    failures = 0
    if streams:
        for head, style in ((["stack", *_ROW], "bold"), (["", *_ROW.values()], "dim")):
            click.echo(paint(format_row(head, widths), **{style: True}))
    enabled = progress_is_wanted() and not streams
    with Progress(len(found), title="read", unit="stack", enabled=enabled, keep=False) as bar:
        for path, name in zip(found, names, strict=True):
            try:
                rows[path] = row = _read(path, per_frame=options["per_frame"], quiet=len(found) > 1)
            except StackError as error:
                failures += 1
                click.echo(f"failed: {escape_controls(str(error))}", err=True)
                continue
            finally:
                bar.update()
            if streams:
                line = format_row([name, *_cells(_ROW, row.record)], widths)
                click.echo(f"{line}  {paint(sparkline(row.speeds, _SPARKS), fg='cyan')}")
                row.record.pop("frames", None)
    _print(rows, options, in_rows=in_rows, widths=widths if streams else ())
    if options["plot"] is not None and rows:
        _plot(rows, options["plot"])
    if failures:
        raise StackError(f"{failures} of {len(found)} stacks could not be read")


def _read(path: Path, *, per_frame: bool, quiet: bool) -> _Row:
    from flowstream.codec import below_step_warning
    from flowstream.store import open_stack
    from flowstream.view.motion import MotionCounter, as_record, count_motion, steps_per_second

    whole, frames = MotionCounter(), []
    row = _Row({}, whole)
    with open_stack(path) as stack:
        rate = steps_per_second(stack)
        place = zip(stack.frame_index.tolist(), stack.time.tolist(), strict=True)
        for counter, (frame, time) in zip(count_motion(stack), place, strict=False):
            whole += counter
            summary = counter.summary()
            row.speeds.append(summary.mean)
            row.times.append(time)
            if per_frame:
                frames.append({"frame": frame, "time": time} | as_record(summary, rate))
        row.record = {
            "path": str(path),
            "class": path.parent.name,
            "size": list(stack.size),
            "fields_per_second": rate,
            **as_record(whole.summary(), rate),
            "below_step": stack.below_step,
        }
        warning = below_step_warning(stack.codec, stack.below_step)
    if warning and not quiet:
        click.echo(f"{escape_controls(str(path))}: {warning}", err=True)
    if per_frame:
        row.record["frames"] = frames
    return row


def _print(
    rows: Mapping[Path, _Row], options: Mapping[str, Any], *, in_rows: bool, widths: Sequence[int]
) -> None:
    """Print all output that was not printed while the stacks were read.

    `widths` are those of the printed rows; they are empty if no rows were printed.
    """
    total = _total(rows.values()) if rows else None
    if options["as_json"]:
        classes = {"classes": _by_class(rows.values())} if options["by_class"] else {}
        records = [row.record for row in rows.values()]
        click.echo(json.dumps({"stacks": records, **classes, "all": total}, indent=2))
    elif options["as_csv"]:
        click.echo(_as_csv(rows.values(), options), nl=False)
    elif options["by_class"]:
        cells = [
            [record["class"], str(record["stacks"]), *_cells(_ROW, record)]
            for record in _by_class(rows.values())
        ]
        head = [["class", "stacks", *_ROW], ["", "", *_ROW.values()]]
        click.echo(format_table(cells, head=head))
    elif in_rows and not widths and total is not None:
        click.echo(_table(rows, total))
    elif not in_rows:
        blocks = [_block(row) for row in rows.values()]
        click.echo("\n\n".join(blocks)) if blocks else None
    elif total is not None:
        click.echo(paint(format_row(["all", *_cells(_ROW, total)], widths), bold=True))


def _table(rows: Mapping[Path, _Row], total: Mapping[str, Any]) -> str:
    cells = [
        [name, *_cells(_ROW, row.record), sparkline(row.speeds, _SPARKS)]
        for name, row in zip(distinct_names(rows), rows.values(), strict=True)
    ]
    head = [["stack", *_ROW, "over time"], ["", *_ROW.values(), ""]]
    return format_table([*cells, ["all", *_cells(_ROW, total), ""]], head=head)


def _total(rows: Iterable[_Row]) -> dict[str, Any]:
    """Return the motion of several stacks together."""
    from flowstream.view.motion import MotionCounter, as_record

    rows = list(rows)
    whole = MotionCounter()
    for row in rows:
        whole += row.counter
    vectors = sum(row.record["vectors"] for row in rows)
    lost = sum(row.record["below_step"] * row.record["vectors"] for row in rows)
    return {**as_record(whole.summary(), None), "below_step": lost / vectors}


def _by_class(rows: Iterable[_Row]) -> list[dict[str, Any]]:
    """Return one record per class, the fastest first."""
    classes: dict[str, list[_Row]] = {}
    for row in rows:
        classes.setdefault(row.record["class"], []).append(row)
    records = [
        {"class": name, "stacks": len(group), **_total(group)} for name, group in classes.items()
    ]
    return sorted(records, key=lambda record: -record["pixels_per_frame"]["mean"])


def _as_csv(rows: Iterable[_Row], options: Mapping[str, Any]) -> str:
    """Format one line per video, class or field, with column names for R and pandas."""
    records: list[dict[str, Any]] = []
    if options["by_class"]:
        records = [_flatten(record) for record in _by_class(rows)]
    elif options["per_frame"]:
        records = [
            {"path": row.record["path"], "field": k, **_flatten(found)}
            for row in rows
            for k, found in enumerate(row.record["frames"])
        ]
    else:
        records = [_flatten(row.record) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name == "pixels_per_frame":
            flat |= {f"speed_{key}": round(speed, 6) for key, speed in value.items()}
        elif name == "size":
            flat |= {"rows": value[0], "columns": value[1]}
        elif name not in ("pixels_per_second", "frames"):
            flat[name] = round(value, 6) if isinstance(value, float) else value
    return flat


def _block(row: _Row) -> str:
    """Return the values of one stack, and a row per field if there are any."""
    record = row.record
    rate = record["fields_per_second"]
    rows, columns = record["size"]
    often = f"{rate:.4g} per second" if rate else "at unknown times"
    speeds = [
        [f"px/{unit}", *(f"{found[name]:.2f}" for name in _SPEEDS)]
        for unit in ("frame", "second")
        if (found := record[f"pixels_per_{unit}"])
    ]
    name = paint(escape_controls(record["path"]), bold=True)
    turned = "none" if record["direction"] is None else f"{record['direction']:.0f}°"
    lines = [
        f"{name}: {record['fields']} fields of {columns}x{rows}, {often}",
        format_table(speeds, head=[["speed", *_SPEEDS]]),
        f"mean vector: dx {record['mean_dx'] + 0.0:.3f}, dy {record['mean_dy'] + 0.0:.3f} px/frame "
        f"(direction {turned}; 0° right, 90° down), {record['coherence']:.0%} of the mean speed",
        f"camera {record['camera']:.2f} px/frame; still {record['still']:.2%}, clipped "
        f"{record['clipped']:.3%}, below step {record['below_step']:.1%}",
    ]
    if len(row.speeds) > 1:
        graph = paint(sparkline(row.speeds, 60), fg="cyan")
        lines.append(f"mean speed over time: {graph} up to {max(row.speeds):.2f}")
    if "frames" in record:
        fields = [_cells(_FIELD, {"field": k, **found}) for k, found in enumerate(record["frames"])]
        lines += ["", format_table(fields, head=[[*_FIELD], [*_FIELD.values()]], left=0)]
    return "\n".join(lines)


def _cells(columns: Mapping[str, str], record: Mapping[str, Any]) -> list[str]:
    values = {**record, **record["pixels_per_frame"]}
    return [_cell(values[name.replace(" ", "_")], unit) for name, unit in columns.items()]


def _cell(value: Any, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.2f}"
    # + 0.0 turns the -0.0 of a small negative mean into 0.0
    return f"{round(value, 2) + 0.0:.2f}" if isinstance(value, float) else str(value)


def _plot(rows: Mapping[Path, _Row], target: Path) -> None:
    from flowstream.view.plot import plot_speeds

    names = distinct_names(rows)
    lines = {name: (row.times, row.speeds) for name, row in zip(names, rows.values(), strict=True)}
    plot_speeds(target, lines)
    click.echo(escape_controls(str(target)), err=True)
