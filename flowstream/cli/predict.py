"""`flowstream predict`: predict the classes of new videos with a trained run."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstream.cli.cores import share_cores
from flowstream.cli.options import GroupedCommand, json_option, quiet_option
from flowstream.cli.paths import distinct_names
from flowstream.cli.text import format_table
from flowstream.escapes import escape_controls

if TYPE_CHECKING:
    from flowstream.stages.prediction import Prediction

EXAMPLE = """\
flowstream predict clip.mp4 --run runs/folder
flowstream predict videos/ --run runs/folder --top 3 --csv > classes.csv
flowstream predict long.mp4 --run runs/folder --every 1s --film films/
flowstream predict rtsp://127.0.0.1/stream --seconds 20 --run runs/folder"""


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Time such as `1s`, `500ms`, `2min` or a number of seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds; anything else is a usage error."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        for unit, factor in (("ms", 0.001), ("min", 60.0), ("s", 1.0), ("", 1.0)):
            if text.endswith(unit):
                with contextlib.suppress(ValueError):
                    seconds = float(text.removesuffix(unit)) * factor
                    if 0 < seconds < float("inf"):
                        return seconds
                break
        return self.fail(f"got {value!r}, expected a time such as 1s or 500ms", param, ctx)


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "--run",
    "directory",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of the trained run.",
)
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Use only this stream.")
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Number of classes."
)
@click.option(
    "--every",
    type=Duration(),
    metavar="TIME",
    help="Also predict over time (1s, 500ms), each moment from the clip around it.",
)
@click.option(
    "--stacks",
    type=click.Path(path_type=Path),
    help="Directory for the stacks, or a pack; existing ones are used.  "
    "[default: a temporary directory]",
)
@click.option(
    "--film",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each video with its classes drawn over it.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Time to record from a camera or a stream.",
)
@click.option("--device", metavar="NAME", help="Device of the networks: auto, cpu, cuda:1.")
@click.option("--jobs", type=click.IntRange(min=1), help="Number of videos processed in parallel.")
@quiet_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print the predictions as CSV.")
def predict(
    sources: tuple[str, ...],
    directory: Path,
    streams: tuple[str, ...],
    top: int,
    every: float | None,
    stacks: Path | None,
    film: Path | None,
    seconds: float,
    device: str | None,
    jobs: int | None,
    quiet: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Predict the classes of videos.

    SOURCES are videos or directories of videos. A source can also be the number of a camera or the
    URL of a stream, from which `--seconds` are recorded. The flow is computed with the method, the
    sampling and the codec that the run was trained on.
    """
    share_cores()
    from flowstream.stages.prediction import Predictor, predict_videos
    from flowstream.stages.runs import load_run

    settings = () if device is None else (f"device={device}",)
    predictor = Predictor(load_run(directory, settings=settings), streams=streams)
    with tempfile.TemporaryDirectory() as temporary:
        found, names = _find_sources(sources, Path(temporary), seconds, progress=not quiet)
        predictions, failures = predict_videos(
            predictor,
            found,
            stacks or Path(temporary) / "stacks",
            every=every or (1.0 if film else None),
            jobs=jobs,
            progress=not quiet,
        )
        if film:
            _write_films(predictions, film, recorded=names)
    for path, name in names.items():
        failures = [line.replace(str(path), name) for line in failures]
    predictions = [replace(one, name=names.get(one.video, one.name)) for one in predictions]
    if as_json:
        click.echo(json.dumps([as_data(one, top) for one in predictions], indent=2))
    elif as_csv:
        click.echo(as_table(predictions, top), nl=False)
    else:
        click.echo("\n\n".join(describe(one, top) for one in predictions))
    if failures:
        raise click.ClickException(
            f"{len(failures)} of {len(predictions) + len(failures)} videos failed:\n  "
            + "\n  ".join(failures[:5])
            + (f"\n  and {len(failures) - 5} more" if len(failures) > 5 else "")
        )


def _find_sources(
    sources: tuple[str, ...], temporary: Path, seconds: float, *, progress: bool
) -> tuple[list[Path], dict[Path, str]]:
    """Return the paths of sources, and the names of those that were recorded first."""
    from flowstream.errors import VideoError
    from flowstream.stages.recording import record

    # all paths are checked before the first recording
    for source in sources:
        if not is_live(source) and not Path(source).exists():
            raise VideoError(f"{source}: no such file or directory")
    found, names = [], {}
    for number, source in enumerate(sources, start=1):
        path = Path(source)
        if is_live(source):
            path = temporary / f"{'camera' if source.isdecimal() else 'stream'}-{number}.mkv"
            names[record(source, path, seconds=seconds, progress=progress)] = source
        found.append(path)
    return found, names


def is_live(source: str) -> bool:
    """Return True if a source is the number of a camera or a URL."""
    return "://" in source or (source.isdecimal() and not Path(source).exists())


def _write_films(
    predictions: list[Prediction], directory: Path, *, recorded: Collection[Path]
) -> None:
    """Write a film of each video; videos of several directories keep their directories."""
    from flowstream.stages.overlay import write_overlay

    videos = [one.video for one in predictions]
    files = [video for video in videos if video not in recorded]
    names = {
        **{video: video.name for video in videos},
        **dict(zip(files, distinct_names(files), strict=True)),
    }
    for one in predictions:
        write_overlay(one, (directory / names[one.video]).with_suffix(".mp4"))


def describe(one: Prediction, top: int) -> str:
    """Format the classes of a video as a table, and over time as one row for each moment."""
    lines = [escape_controls(one.name)]
    rows = [[name, f"{value:.3f}"] for name, value in one.top(top)]
    lines.append(format_table(rows))
    if len(one.times):
        moments = []
        for time, scores in zip(one.times, one.over_time, strict=True):
            ((name, value),) = one.top(1, scores)
            moments.append([f"{time:.2f} s", name, f"{value:.3f}"])
        lines.append(format_table(moments, left=2))
    return "\n".join(lines)


def as_data(one: Prediction, top: int) -> dict[str, Any]:
    """Return a prediction as plain data."""

    def ranked(scores: Any) -> list[dict[str, Any]]:
        return [{"class": name, "probability": value} for name, value in one.top(top, scores)]

    return {
        "video": one.name,
        "top": ranked(one.scores),
        "streams": {name: ranked(scores) for name, scores in one.streams.items()},
        "over_time": [
            {"seconds": float(time), "top": ranked(scores)}
            for time, scores in zip(one.times, one.over_time, strict=True)
        ],
    }


def as_table(predictions: list[Prediction], top: int) -> str:
    """Return predictions as CSV; `seconds` is empty for a whole video."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", "seconds", "rank", "class", "probability"])
    for one in predictions:
        moments = [("", one.scores), *zip(one.times, one.over_time, strict=True)]
        for seconds, scores in moments:
            shown = "" if seconds == "" else f"{seconds:.3f}"
            for rank, (name, value) in enumerate(one.top(top, scores), start=1):
                writer.writerow([one.name, shown, rank, name, f"{value:.6f}"])
    return text.getvalue()
