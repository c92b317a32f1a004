"""`flowstream evaluate`: score a trained run or a checkpoint by any protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstream.cli.cores import share_cores
from flowstream.cli.measures import format_measures, measures_as_data
from flowstream.cli.options import GroupedCommand, json_option, quiet_option
from flowstream.escapes import escape_controls

if TYPE_CHECKING:
    from flowstream.stages.evaluation import Evaluated

EXAMPLE = """\
flowstream evaluate runs/ucf101
flowstream evaluate runs/ucf101 --segments 10 --crops 3
flowstream evaluate runs/ucf101/spatial/best.pt --crops full --part validation"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--segments", type=int, metavar="N", help="Number of segments of each video.")
@click.option("--crops", metavar="N", help="1 (centre), 3, 5, 10, or full (the whole frame).")
@click.option(
    "--average",
    type=click.Choice(["probabilities", "logits"]),
    help="Quantity that is averaged over the clips of a video.",
)
@click.option(
    "--part",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Part of the dataset.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Override a value of the run's recipe, such as split.split=2 or stacks=DIR.",
)
@quiet_option
@json_option
def evaluate(
    runs: tuple[Path, ...],
    segments: int | None,
    crops: str | None,
    average: str | None,
    part: str,
    settings: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Evaluate trained runs with their own protocol or another one.

    RUNS are directories of runs (the `out` of a recipe), or checkpoints in them. Nothing is
    trained, and the scores and the report of the run are not changed: new scores are written to
    `RUN/evaluations/PROTOCOL/`. Streams are fused with the fusion of the recipe.
    """
    share_cores()
    results = {
        str(path): _evaluate_one(
            path,
            part=part,
            protocol={"segments": segments, "crops": crops, "average": average},
            settings=settings,
            progress=not quiet,
        )
        for path in runs
    }
    if as_json:
        data = {
            path: {
                "protocol": result.protocol,
                "part": result.part,
                "measures": {name: measures_as_data(one) for name, one in result.measures.items()},
                "files": {name: str(file) for name, file in result.files.items()},
            }
            for path, result in results.items()
        }
        click.echo(json.dumps(data, indent=2))
        return
    for path, result in results.items():
        click.echo(escape_controls(f"{path}: {result.part} videos, {result.protocol}"))
        click.echo(format_measures(result.measures))


def _evaluate_one(
    path: Path,
    *,
    part: str,
    protocol: dict[str, int | str | None],
    settings: tuple[str, ...],
    progress: bool,
) -> Evaluated:
    from flowstream.recipe import build
    from flowstream.stages.evaluation import evaluate_run
    from flowstream.stages.runs import load_run
    from flowstream.train.evaluation import Evaluation

    directory, streams = (path.parent.parent, [path.parent.name]) if path.is_file() else (path, [])
    recipe = load_run(directory, settings=settings)
    first = recipe.streams[streams[0]] if streams else next(iter(recipe.streams.values()))
    given = {key: value for key, value in protocol.items() if value is not None}
    crops = given.get("crops")
    if isinstance(crops, str) and crops.isdecimal():
        given["crops"] = int(crops)
    views = None
    if given:
        base = first.evaluation
        values = {"segments": base.segments, "crops": base.crops, "average": base.average, **given}
        views = build(Evaluation, values, where="evaluation")
    return evaluate_run(recipe, part=part, views=views, streams=streams, progress=progress)  # type: ignore[arg-type]
