"""`flowstream report`: compare runs side by side, with rescued and misclassified clips."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstream.cli.options import GroupedCommand, progress_is_wanted
from flowstream.cli.paths import distinct_names
from flowstream.escapes import escape_controls
from flowstream.progress import Progress

if TYPE_CHECKING:
    from flowstream.report.runs import Run

EXAMPLE = """\
flowstream report runs/ucf10
flowstream report runs/tvl1 runs/raft runs/dis -o comparison/"""


@click.command(cls=GroupedCommand, example=EXAMPLE)
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    metavar="RUN...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Directory of the page.  [default: RUN/report for one run, comparison/ for several]",
)
@click.option(
    "--clips",
    type=click.IntRange(min=0),
    default=6,
    show_default=True,
    metavar="N",
    help="Number of clips of each group that are shown for each run.",
)
@click.option("--pages", is_flag=True, help="Write a page of each shown clip, and link to it.")
def report(runs: tuple[Path, ...], out: Path | None, clips: int, pages: bool) -> None:
    """Compare runs: accuracy, McNemar's test, classes, differences of the recipes, and clips.

    RUN is the directory of a complete run of 'flowstream train'. Two groups of clips are shown:
    clips that the first stream misclassifies and the final scores do not (rescued clips), and clips
    that the final scores misclassify. The path of the page is printed.
    """
    from flowstream.report.runs import read_run, write_runs

    target = out or (runs[0] / "report" if len(runs) == 1 else Path("comparison"))
    found = [
        read_run(path, name=name) for path, name in zip(runs, distinct_names(runs), strict=True)
    ]
    total = 2 * clips * len(found)
    enabled = progress_is_wanted() and clips > 0
    with Progress(total, title="clips", unit="clip", enabled=enabled, keep=False) as bar:
        found = [_add_clips(run, target, most=clips, pages=pages, bar=bar) for run in found]
    page = target / "runs.html"
    write_runs(page, found)
    click.echo(escape_controls(str(page)))


def _add_clips(run: Run, target: Path, *, most: int, pages: bool, bar: Progress) -> Run:
    """Return a run with its clips and with the settings that differ from their defaults."""
    from flowstream.errors import RecipeError
    from flowstream.report.cards import CardSource, make_cards
    from flowstream.stages.differences import list_differences
    from flowstream.stages.runs import load_run

    try:
        differences = tuple(list_differences(load_run(run.path)))
    except RecipeError:  # a run of another version, with settings that no longer exist
        differences = ()
    stacks = Path(str(run.recipe.get("stacks") or run.path / "stacks"))
    source = CardSource(stacks, target if pages else None, back="runs.html")
    cards = make_cards(run.scores, source, most=most, progress=bar.update)
    return dataclasses.replace(run, cards=cards, differences=differences)
