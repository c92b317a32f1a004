"""`flowstream info`, `stats` and `show`: look at what is on disk."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.options import GroupedCommand
from flowstream.cli.text import format_record, format_table
from flowstream.disk import whole_file
from flowstream.errors import FlowFileError, ParameterError, StackError

if TYPE_CHECKING:
    from flowstream.report.motion import MotionCounter
    from flowstream.types import Images, Vectors

_EXISTING = click.Path(exists=True, path_type=Path)
# Classes that are named in text; --json has all.
_MOST_CLASSES = 12
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Picture(click.Path):
    """A path whose suffix names a kind of picture."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
            self.fail(
                f"{str(path)!r}: expected a name that ends in .png, .jpg or .webp", param, ctx
            )
        return path


@click.command(
    cls=GroupedCommand,
    example="flowstream info clip.mp4\nflowstream info stacks/clip.h5 --json",
)
@click.argument("path", type=_EXISTING)
@click.option("--count", is_flag=True, help="Count a video's frames by decoding it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(path: Path, count: bool, as_json: bool) -> None:
    """Say what a file or folder is, and what made it.

    PATH is a video or a folder of numbered images, a stack, a checkpoint, a score file, a report or
    a flow field; which, is told by its content. What a video's header claims may be wrong: --count
    decodes it.
    """
    from flowstream.cli.identify import describe

    record = describe(path, count=count)
    click.echo(json.dumps(record, indent=2) if as_json else _described(record))


def _described(record: Mapping[str, Any]) -> str:
    """The facts as text: shares with their intervals, nested tables as tables of their own."""
    flat: dict[str, Any] = {}
    sections = []
    for name, value in record.items():
        if name == "recipe":
            sections.append(f"\n{name}\n{format_record(value)}")
        elif name == "facts":
            tables = {key: item for key, item in value.items() if isinstance(item, Mapping)}
            sections += [f"\n{key}\n{format_record(item)}" for key, item in tables.items()]
            plain = {key: item for key, item in value.items() if key not in tables}
            sections += [f"\n{name}\n{format_record(plain)}"] if plain else []
        elif name == "classes":
            more = f" and {len(value) - _MOST_CLASSES} more" if len(value) > _MOST_CLASSES else ""
            flat["classes"] = f"{len(value)}: {', '.join(value[:_MOST_CLASSES])}{more}"
        elif isinstance(value, Mapping) and "low" in value:
            flat[name] = _share(value)
        elif isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values()):
            flat |= {f"{name} {key}": _share(item) for key, item in value.items()}
        else:
            flat[name] = value
    return "\n".join([format_record(flat), *sections])


def _share(share: Mapping[str, Any]) -> str:
    return (
        f"{share['value']:.1%} ({share['correct']} of {share['total']}; "
        f"95 % interval {share['low']:.1%} to {share['high']:.1%})"
    )


@click.command(
    cls=GroupedCommand,
    example="flowstream stats stacks/*.h5\nflowstream stats stacks/clip.h5 --per-frame",
)
@click.argument("stacks", nargs=-1, required=True, type=_FILE, metavar="STACK...")
@click.option("--per-frame", is_flag=True, help="A line for each field of each stack.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, in pixels per second too.")
def stats(stacks: tuple[Path, ...], per_frame: bool, as_json: bool) -> None:
    """Sum up the motion in stacks: speeds, mean direction, stillness, clipping.

    STACKS are files of 'flowstream extract'. Speeds are in pixels per frame step: p95 is what 95 %
    of the vectors do not exceed, to 1/128 px, max is exact. 'still' is the share of the vectors
    slower than 0.1 px, 'clipped' the share at the codec's bound: where that is more than a few per
    mille, extract again with a larger --bound. Memory does not grow with the stacks.
    """
    from flowstream.report.motion import MotionCounter, as_record

    everything = MotionCounter()
    records: list[dict[str, Any]] = []
    failures = 0
    in_rows = len(stacks) > 1 and not per_frame
    if in_rows and not as_json:
        click.echo(_line("stack", _ROW))
    for path in stacks:
        try:
            record, counter = _motion(path, per_frame=per_frame)
        except StackError as error:
            failures += 1
            click.echo(f"failed: {error}", err=True)
            continue
        everything += counter
        records.append(record)
        if not as_json:
            click.echo(_line(path.stem, _cells(_ROW, record)) if in_rows else _block(record))
    total = as_record(everything.summary(), None) if records else None
    if as_json:
        click.echo(json.dumps({"stacks": records, "all": total}, indent=2))
    elif total and in_rows:
        click.echo(_line("all", _cells(_ROW, total)))
    if failures:
        raise StackError(f"{failures} of {len(stacks)} stacks could not be read")


def _motion(path: Path, *, per_frame: bool) -> tuple[dict[str, Any], MotionCounter]:
    """The record of a stack, with one of each field where asked for, and what it was made from."""
    from flowstream.codec import below_step_warning
    from flowstream.report.motion import MotionCounter, as_record, count_motion, steps_per_second
    from flowstream.store import open_stack

    whole, frames = MotionCounter(), []
    with open_stack(path) as stack:
        rate = steps_per_second(stack)
        place = zip(stack.frame_index.tolist(), stack.time.tolist(), strict=True)
        for counter, (frame, time) in zip(count_motion(stack), place, strict=False):
            whole += counter
            if per_frame:
                frames.append({"frame": frame, "time": time} | as_record(counter.summary(), rate))
        record = {
            "path": str(path),
            "size": list(stack.size),
            "fields_per_second": rate,
            **as_record(whole.summary(), rate),
            "below_step": stack.below_step,
        }
        warning = below_step_warning(stack.codec, stack.below_step)
    if warning:
        click.echo(f"{path}: {warning}", err=True)
    return ({**record, "frames": frames} if per_frame else record), whole


_ROW = ("fields", "p50", "p95", "p99", "max", "still", "clipped")
_FIELD = ("field", "frame", "time", "p50", "p95", "max", "mean_dx", "mean_dy", "still", "clipped")


def _line(name: str, cells: Sequence[str]) -> str:
    """A line of the table of stacks, written before the next stack is read."""
    width = max(12, shutil.get_terminal_size().columns - 8 * len(cells) - 1)
    name = name if len(name) <= width else f"…{name[1 - width :]}"
    return f"{name:<{width}}" + "".join(f"{cell:>8}" for cell in cells)


def _block(record: Mapping[str, Any]) -> str:
    """All about one stack, and a line for each of its fields where they are there."""
    rate = record["fields_per_second"]
    rows, columns = record["size"]
    often = f"{rate:.4g} a second" if rate else "at unknown times"
    speeds = {unit: record[f"pixels_per_{unit}"] for unit in ("frame", "second")}
    units = [
        [f"pixels/{unit}", *(f"{value:.2f}" for value in found.values())]
        for unit, found in speeds.items()
        if found
    ]
    lines = [
        f"{record['path']}: {record['fields']} fields of {columns}x{rows}, {often}",
        format_table([["speed", *speeds["frame"]], *units]),
        f"mean dx {record['mean_dx']:.3f}, dy {record['mean_dy']:.3f} pixels/frame; "
        f"still {record['still']:.2%}, clipped {record['clipped']:.3%}, "
        f"below the codec's step {record['below_step']:.1%}",
    ]
    if "frames" in record:
        fields = [_cells(_FIELD, {"field": k, **found}) for k, found in enumerate(record["frames"])]
        lines += ["", format_table([_FIELD, *fields], left=0)]
    return "\n".join(lines)


def _cells(names: Sequence[str], record: Mapping[str, Any]) -> list[str]:
    values = {**record, **record["pixels_per_frame"]}
    return [_cell(name, values[name]) for name in names]


def _cell(name: str, value: Any) -> str:
    if name in ("still", "clipped"):
        return f"{value:.2%}"
    # + 0.0 turns the -0.0 of a tiny negative mean into 0.0
    return f"{round(value, 2) + 0.0:.2f}" if isinstance(value, float) else str(value)


@click.command(
    cls=GroupedCommand,
    example="flowstream show stacks/clip.h5 --at 12 --out field.png\n"
    "flowstream show flow10.flo --out field.png --max-speed 5",
)
@click.argument("path", metavar="STACK", type=_FILE)
@click.option("--at", type=click.IntRange(min=0), metavar="K", help="Which field.  [default: 0]")
@click.option(
    "-o",
    "--out",
    required=True,
    type=_Picture(dir_okay=False, path_type=Path),
    metavar="PICTURE",
    help="PNG, JPEG or WebP.",
)
@click.option(
    "--max-speed",
    type=float,
    metavar="S",
    help="Pixels per frame of full colour.  [default: the fastest vector's]",
)
def show(path: Path, at: int | None, out: Path, max_speed: float | None) -> None:
    """Draw a flow field in Middlebury's colours: hue is direction, saturation is speed.

    STACK is a file of 'flowstream extract', or a flow field in a .flo, .pfm or KITTI .png file. The
    picture has the colour wheel as its legend and, where the stack holds frames, the frame that
    the field starts from. To compare pictures, give --max-speed. The picture's path is printed.
    """
    from flowstream.flow.draw import panel

    if out.exists() and out.samefile(path):
        raise click.UsageError("--out is the file to be drawn; name another.")
    if max_speed is not None and not 0 < max_speed < math.inf:
        raise click.UsageError(f"--max-speed: got {max_speed}, expected above 0.")
    frame, vectors = _field(path, at)
    _write_picture(out, panel(frame, vectors, max_speed=max_speed))
    click.echo(out)


def _field(path: Path, at: int | None) -> tuple[Images | None, Vectors]:
    """The field, and the frame that it starts from where there is one."""
    from flowstream.flow.files import read_flow
    from flowstream.store import open_stack

    if path.suffix.lower() in (".flo", ".pfm", ".png"):
        if at:
            raise click.UsageError(f"--at {at}: {path} is a single field; leave it out.")
        return None, read_flow(path)
    with open_stack(path) as stack:
        k = at or 0
        if k >= stack.num_fields:
            raise ParameterError(
                f"{path}: --at {k}: expected 0 to {stack.num_fields - 1}; "
                f"the stack has {stack.num_fields} fields"
            )
        return (stack.rgb(k) if stack.has_rgb else None), stack.field(k)


def _write_picture(path: Path, picture: Images) -> None:
    """Write an RGB picture, whole or not at all."""
    import cv2

    done, encoded = cv2.imencode(path.suffix.lower(), picture[..., ::-1])
    if not done:
        raise FlowFileError(f"{path}: a picture of {picture.shape} cannot be written as this kind")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_bytes(encoded.tobytes())
    except OSError as error:
        raise FlowFileError(f"{path}: cannot write the picture: {error.strerror}") from error
