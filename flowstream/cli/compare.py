"""`flowstream compare`: flow methods on a video, or two stacks or fields, side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.flow_options import frame_options, read_flow, usage_errors
from flowstream.cli.options import GroupedCommand, options_of, progress_is_wanted
from flowstream.cli.paths import distinct_names, find_inputs, is_stack, paths_argument
from flowstream.cli.text import format_table
from flowstream.errors import ParameterError
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.flow import FlowMethod
    from flowstream.types import Images, Vectors
    from flowstream.view.side_by_side import Candidate, Score

EXAMPLE = """\
flowstream compare clip.mp4 --methods tvl1,dis,farneback -o methods.png
flowstream compare clip.mp4 --methods tvl1,tvl1:preset=accurate,raft:weights=raft-small.pth
flowstream compare a/clip.h5 b/clip.h5 --at 10:20
flowstream compare estimate.flo --truth flow10.flo"""

_COLUMNS = {
    "name": ("", ""),
    "seconds": ("time", "ms/pair"),
    "warp_error": ("warp error", "levels"),
    "speed": ("mean speed", "px/frame"),
    "difference": ("difference", "px"),
    "truth_error": ("end-point error", "px"),
    "outliers": ("outliers", "%"),
}

_methods = options_of("Methods on a video")
_output = options_of("Output")


@click.command(cls=GroupedCommand, example=EXAMPLE)
@paths_argument("PATH")
@_methods(
    "--methods",
    metavar="NAME[:KEY=VALUE],...",
    help="Flow methods, each with optional parameters.  [default: tvl1,dis,farneback]",
)
@_methods("--device", metavar="NAME", help="Device: auto, cpu, cuda, cuda:1.")
@frame_options("Methods on a video")
@_output(
    "--at",
    default="0:5",
    show_default=True,
    metavar="K|T.Ts|A:B",
    help="Fields to compare; the picture shows the first one.",
)
@_output(
    "--truth",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FLO",
    help="Ground truth of the first field (.flo, .pfm, KITTI .png).",
)
@_output(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PICTURE",
    help="Sheet of the fields and their differences (.png, .jpg, .webp).",
)
@_output("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(paths: tuple[Path, ...], **options: Any) -> None:
    """Compare flow methods on a video, or estimates of the same motion.

    PATH is one video or directory of numbered images, for which each method estimates the flow, or
    two or more stacks or flow fields. The columns are: the median time of a pair; the warp error,
    which is the mean difference between a frame and the next one warped to it; the mean end-point
    difference to the first row; and the end-point error relative to --truth.
    """
    from flowstream.view.picture import PICTURES, write_picture
    from flowstream.view.side_by_side import score_candidates

    out: Path | None = options["out"]
    if out is not None and out.suffix.lower() not in PICTURES:
        raise click.UsageError(f"--out: expected one of {', '.join(PICTURES)}, got {out.name!r}.")
    candidates, frames = _collect(paths, options)
    truth = _read_truth(options["truth"])
    scores = score_candidates(candidates, frames=frames, truth=truth)
    if options["as_json"]:
        click.echo(json.dumps([dataclasses.asdict(score) for score in scores], indent=2))
    else:
        click.echo(_table(scores))
    if out is not None:
        from flowstream.view.comparison_sheet import draw_sheet

        write_picture(out, draw_sheet(candidates, scores, frames=frames, truth=truth))
        click.echo(escape_controls(str(out)), err=options["as_json"])


def _collect(
    paths: Sequence[Path], options: Mapping[str, Any]
) -> tuple[list[Candidate], list[Images] | None]:
    """Return the candidates, and the frames if they are known."""
    from flowstream.video import is_video

    if len(paths) == 1 and is_video(paths[0]):
        return _run_methods(paths[0], options)
    found = find_inputs(paths)
    if len(found) == 1 and not options["truth"] and not _is_field(found[0]):
        raise click.UsageError("PATH: got one stack, expected at least two, or --truth FLO.")
    if options["methods"]:
        raise click.UsageError("--methods is for one video, but PATH names stacks or fields.")
    frames: list[Images] | None = None
    candidates = []
    for path, name in zip(found, distinct_names(found), strict=True):
        candidate, seen = _read_fields(path, name, options["at"])
        candidates.append(candidate)
        frames = frames or seen
    return candidates, frames


def _is_field(path: Path) -> bool:
    from flowstream.view.clip import FLOW_SUFFIXES

    return path.suffix.lower() in FLOW_SUFFIXES


def _read_fields(path: Path, name: str, at: str) -> tuple[Candidate, list[Images] | None]:
    from flowstream.view.clip import open_clip
    from flowstream.view.selection import parse_selection
    from flowstream.view.side_by_side import Candidate

    if not (_is_field(path) or is_stack(path)):
        raise click.UsageError(f"{path}: expected a stack or a flow field, like the other inputs.")
    with open_clip(path) as clip:
        if clip.stack is None:
            return Candidate(name, [clip.field(0)]), None
        chosen = parse_selection(at).resolve(clip.times, str(path))
        read = (clip.frame(t) for t in range(chosen[0], chosen[-1] + 2))
        frames = [frame for frame in read if frame is not None]
        fields = [clip.field(k) for k in chosen]
    return Candidate(name, fields), frames or None


def _run_methods(
    path: Path, options: Mapping[str, Any]
) -> tuple[list[Candidate], list[Images] | None]:
    from flowstream.view.side_by_side import Candidate, estimate_fields

    wanted = (options["methods"] or "tvl1,dis,farneback").split(",")
    methods = {text.strip(): _build_method(text.strip(), options) for text in wanted}
    frames = _read_frames(path, options)
    candidates = []
    total = len(methods) * (len(frames) - 1)
    with Progress(total, unit="pair", enabled=progress_is_wanted(), keep=False) as bar:
        for text, method in methods.items():
            candidate = Candidate(_name_method(text))
            candidates.append(candidate)
            for _ in estimate_fields(candidate, method, frames):
                bar.update(note=candidate.name)
    return candidates, frames


def _build_method(text: str, options: Mapping[str, Any]) -> FlowMethod:
    """Return the flow method of `NAME:KEY=VALUE:...`; an unknown name is a usage error."""
    from flowstream.errors import did_you_mean
    from flowstream.flow import METHODS

    name, *settings = text.split(":")
    if name not in METHODS:
        raise click.UsageError(
            f"--methods: unknown flow method {name!r}; known: {', '.join(METHODS)}."
            f"{did_you_mean(name, METHODS)}"
        )
    # a method that runs only on the CPU has no parameter `device`
    fields = dataclasses.fields(METHODS[name])  # type: ignore[arg-type]
    device = options["device"] if "device" in {field.name for field in fields} else None
    with usage_errors():
        return read_flow({**options, "method": name, "settings": settings, "device": device})[0]


def _name_method(text: str) -> str:
    """Return `raft variant=small` for `raft:variant=small:weights=path/file.pth`."""
    name, *settings = text.split(":")
    # a path would make the table too wide, and the other parameters identify the variant
    return " ".join([name, *(setting for setting in settings if "/" not in setting)])


def _read_frames(path: Path, options: Mapping[str, Any]) -> list[Images]:
    """Return the frames of the selected pairs, in RGB."""
    from flowstream.video import read_frames
    from flowstream.view.selection import parse_selection

    with usage_errors():
        selection = parse_selection(options["at"])
        _, sampling = read_flow({**options, "method": "dis"})
    kept: list[Images] = []
    before, seconds, index = None, 0.0, -1
    for index, frame in enumerate(
        read_frames(path, sampling, luma=False, rgb=True, allow_truncated=True), start=-1
    ):
        if before is not None:
            place = selection.place(index, before.seconds, frame.seconds)
            if place > 0:
                break
            if place == 0:
                kept += [image for image in (before.rgb,) if image is not None and not kept]
                kept += [image for image in (frame.rgb,) if image is not None]
        before, seconds = frame, frame.seconds
    if not kept:
        raise selection.missing(str(path), count=index + 1, seconds=seconds)
    return kept


def _read_truth(path: Path | None) -> Vectors | None:
    from flowstream.flow.files import read_flow as read_field

    return None if path is None else read_field(path)


def _table(scores: Sequence[Score]) -> str:
    """Return one row per candidate; columns without a value are left out."""
    if not scores:
        raise ParameterError("nothing to compare")
    rows = [dataclasses.asdict(score) for score in scores]
    columns = [key for key in _COLUMNS if any(row[key] is not None for row in rows)]
    cells = [[_cell(key, row[key]) for key in columns] for row in rows]
    heads = [[_COLUMNS[key][part] for key in columns] for part in (0, 1)]
    return format_table(cells, head=heads)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "name":
        return str(value)
    return f"{1000 * value:.1f}" if name == "seconds" else f"{value:.3f}"
