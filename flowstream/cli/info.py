"""`flowstream info`: kind, facts and origin of files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from flowstream.cli.options import GroupedCommand, json_option
from flowstream.cli.paths import distinct_names, find_inputs, paths_argument
from flowstream.cli.text import format_record, format_table, format_value
from flowstream.errors import FlowstreamError, ParameterError
from flowstream.escapes import escape_controls

EXAMPLE = """\
flowstream info clip.mp4
flowstream info stacks/clip.h5 --json
flowstream info stacks/"""

# Number of classes that are named in text; --json has all.
_MAX_CLASSES = 12
_COLUMNS = {
    "size": "",
    "num_fields": "fields",
    "fps": "",
    "method": "",
    "codec": "",
    "clipped": "",
    "below_step": "below step",
    "bytes": "size on disk",
}


@click.command(cls=GroupedCommand, example=EXAMPLE)
@paths_argument("PATH")
@click.option("--count", is_flag=True, help="Count the frames of videos by decoding them.")
@json_option
def info(paths: tuple[Path, ...], count: bool, as_json: bool) -> None:
    """Print the kind, the facts and the origin of files.

    PATH is a video or a directory of numbered images, a stack, a checkpoint, a score file, a
    report or a flow field; its kind is detected from the content. A directory of stacks is printed
    as one row per stack. The header of a video may state a wrong number of frames; --count decodes
    the video.
    """
    found = _find(paths)
    records: list[dict[str, Any]] = []
    failures = 0
    for path in found:
        try:
            records.append(_identify(path, count=count))
        except FlowstreamError as error:
            if len(found) == 1:
                raise
            failures += 1
            click.echo(f"failed: {escape_controls(str(error))}", err=True)
    if as_json:
        click.echo(json.dumps(records[0] if len(found) == 1 else records, indent=2))
    elif len(records) > 1 and all(record["kind"] == "stack" for record in records):
        click.echo(_stack_table(records))
    else:
        click.echo("\n\n".join(map(_format, records)))
    if failures:
        raise ParameterError(f"{failures} of {len(found)} files could not be read")


def _find(paths: Sequence[Path]) -> list[Path]:
    """Return the files that paths name; a directory of numbered images is one video."""
    from flowstream.video import is_video

    found: list[Path] = []
    for path in paths:
        images = path.is_dir() and is_video(path)
        found += [path] if images else find_inputs([path])
    return list(dict.fromkeys(found))


def _identify(path: Path, *, count: bool) -> dict[str, Any]:
    from flowstream.cli.identify import identify

    return identify(path, count=count)


def _stack_table(records: Sequence[Mapping[str, Any]]) -> str:
    names = distinct_names(Path(record["path"]) for record in records)
    rows = [
        [name, *(_cell(key, record.get(key)) for key in _COLUMNS)]
        for name, record in zip(names, records, strict=True)
    ]
    return format_table(rows, head=[["stack", *(title or key for key, title in _COLUMNS.items())]])


def _cell(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(str(value[key]) for key in ("name", "preset") if value.get(key))
    return format_value(name, value)


def _format(record: Mapping[str, Any]) -> str:
    """Format the facts as text: shares with their intervals, then nested tables."""
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
            more = f" and {len(value) - _MAX_CLASSES} more" if len(value) > _MAX_CLASSES else ""
            flat["classes"] = f"{len(value)}: {', '.join(value[:_MAX_CLASSES])}{more}"
        elif isinstance(value, Mapping) and "low" in value:
            flat[name] = _format_share(value)
        elif isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values()):
            flat |= {f"{name} {key}": _format_share(item) for key, item in value.items()}
        else:
            flat[name] = value
    return "\n".join([format_record(flat), *sections])


def _format_share(share: Mapping[str, Any]) -> str:
    return (
        f"{share['value']:.1%} ({share['correct']} of {share['total']}; "
        f"95% interval {share['low']:.1%} to {share['high']:.1%})"
    )
