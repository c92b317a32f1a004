"""`flowstream fuse`: fuse score files by any method, and show the weight curve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstream.cli.measures import format_measures, measures_as_data
from flowstream.cli.options import GroupedCommand, NameIn, json_option
from flowstream.cli.text import format_table
from flowstream.escapes import escape_controls

if TYPE_CHECKING:
    from flowstream.fusion import FittedFusion
    from flowstream.scores import Scores

EXAMPLE = """\
flowstream fuse run/spatial/scores.npz run/temporal/scores.npz
flowstream fuse run/spatial/scores.npz run/temporal/scores.npz --weights 1,1.5
flowstream fuse run/*/scores.npz --method svm -o fused.npz"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--method",
    type=NameIn("fusion", "flowstream.fusion:FUSIONS"),
    default="weighted",
    show_default=True,
    help="Fusion; see `flowstream list fusions`.",
)
@click.option("--weights", metavar="A,B,...", help="Weights of the streams, for `weighted`.")
@click.option(
    "--fit",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Scores to fit on, one file per stream; may be given several times. The default is the "
    "scores-validation.npz in the directory of each file, or else the cross-validated "
    "scores-held-out.npz, if all of them exist.",
)
@click.option("--curve/--no-curve", default=True, help="Print top-1 for each weight.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the curve to a file."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the fused scores here.")
@json_option
def fuse(
    files: tuple[Path, ...],
    method: str,
    weights: str | None,
    fit: tuple[Path, ...],
    curve: bool,
    plot: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Fuse the scores of several streams over the same videos.

    FILES are the scores.npz of streams; files of fused scores are left out. Weights and parameters
    are fitted on validation scores, never on the scores of FILES. The run that the files belong to
    is not changed.
    """
    from flowstream.errors import ScoresError
    from flowstream.report.measures import measure
    from flowstream.report.weights import draw_weight_curve, weight_curve
    from flowstream.scores import write_scores

    files = _leave_out_fused(files)
    testing = _read(files)
    if len(testing) < 2:
        raise ScoresError("fuse: got the scores of one stream, expected at least two")
    fitting = _read(fit) if fit else _read_beside(files, testing)
    fitted = _fit(method, weights, fitting=fitting, testing=testing)
    fused = fitted(testing)
    measures = {one.stream: measure(one) for one in (*testing, fused)}
    points = weight_curve(testing) if len(testing) == 2 else []
    chosen = weight_curve(fitting) if len(fitting) == 2 else []
    if plot:
        draw_weight_curve(plot, {"these": points, "validation": chosen}, names=fitted.streams)
    if out:
        write_scores(out, fused)
    if as_json:
        data = {
            "method": method,
            "fitted": dict(fitted.describe()),
            "fitted_on": fitted.fitted_on if fitting else "",
            "measures": {name: measures_as_data(one) for name, one in measures.items()},
            "curve": [list(point) for point in points],
        }
        click.echo(json.dumps(data, indent=2))
        return
    click.echo(format_measures(measures))
    for name, value in fitted.describe().items():
        click.echo(f"{name}: {value:.2f}")
    if curve and points:
        click.echo("\n" + _format_curve(points, chosen, streams=[one.stream for one in testing]))


def _leave_out_fused(files: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the files without those of fused scores, which `run/*/scores.npz` also matches."""
    from flowstream.scores import read_scores

    kept = tuple(path for path in files if read_scores(path).stream != "fused")
    for path in files:
        if path not in kept:
            text = f"{path}: left out, because it is a fusion of other streams"
            click.echo(escape_controls(text), err=True)
    return kept


def _read(paths: tuple[Path, ...]) -> list[Scores]:
    """Read score files; streams with the same name are renamed after their directories."""
    from dataclasses import replace

    from flowstream.scores import read_scores

    scores = [read_scores(path) for path in paths]
    names = [one.stream for one in scores]
    if len(set(names)) < len(names):
        scores = [
            replace(one, stream="/".join(path.parts[-3:-1]))
            for one, path in zip(scores, paths, strict=True)
        ]
    return scores


def _read_beside(files: tuple[Path, ...], testing: list[Scores]) -> list[Scores]:
    """Read the validation scores beside the files, or else the cross-validated ones."""
    from dataclasses import replace

    from flowstream.train.linear import HELD_OUT

    for name in ("scores-validation.npz", HELD_OUT):
        beside = tuple(path.with_name(name) for path in files)
        if all(path.exists() for path in beside):
            found = zip(_read(beside), testing, strict=True)
            return [replace(one, stream=tested.stream) for one, tested in found]
    return []


def _fit(
    method: str, weights: str | None, *, fitting: list[Scores], testing: list[Scores]
) -> FittedFusion:
    from flowstream.errors import ParameterError
    from flowstream.fusion import FUSIONS
    from flowstream.fusion.weighted import Weighted

    if weights is not None:
        try:
            values = tuple(float(word) for word in weights.split(","))
        except ValueError as error:
            raise ParameterError(
                f"--weights: got {weights!r}, expected numbers such as 1,1.5"
            ) from error
        return Weighted(weights=values).fit(testing)
    return FUSIONS[method]().fit(fitting or testing)


def _format_curve(
    points: list[tuple[float, float]], chosen: list[tuple[float, float]], *, streams: list[str]
) -> str:
    """Return the top-1 of each weight as a table with bars."""
    on_validation = dict(chosen)
    head = [f"weight of {streams[1]}", "top-1", *(["validation"] if chosen else []), ""]
    rows = []
    for weight, value in points:
        other = [f"{on_validation[weight]:.3f}"] if chosen else []
        rows.append([f"{weight:.2f}", f"{value:.3f}", *other, "#" * round(40 * value)])
    return format_table(rows, head=[head], left=0)
